/**
 * The reference: status.network. What an agent reports is kept and shown, whoever measured it: most rows are told here by a stand-in for
 * an agent, which speaks the same API. The last tests are of what cara-agent finds out by itself.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { NetworkStatus, NodeObject } from '../../src/api/node.ts';
import { startFakeTailscale, tailscaleStatus } from '../support/network/fake-tailscale.ts';
import { makeScratch } from '../support/scratch.ts';
import { sentencesOf } from './promises.ts';
import { startWorld } from './world.ts';

const sentence = sentencesOf('reference-network');
const world = await startWorld();
const agent = await world.startAgent('worker-01', { env: { NODE_IP: '100.64.0.5' } });
await world.untilState('worker-01', 'Ready');
assert.equal((await world.call('POST', 'nodes/told/register', {})).status, 200);

/** What the operator sees of a node whose agent reports this. */
async function shown(network: NetworkStatus): Promise<NetworkStatus> {
  const { status, text } = await world.call('POST', 'nodes/told/heartbeat', { network });
  assert.equal(status, 204, text);
  await world.untilNode('told', 'to show it', (node) => JSON.stringify(node.status.network) === JSON.stringify(network));
  const seen = JSON.parse(await world.type('caractrl --output json get nodes told')) as NodeObject;
  return seen.status.network ?? {};
}

async function refused(network: object): Promise<string> {
  const { status, text } = await world.call('POST', 'nodes/told/heartbeat', { network });
  assert.equal(status, 400, text);
  return text;
}

test(sentence('Overlay-network connectivity reported by the Headscale/Tailscale integration.'), async () => {
  const whole = {
    ip: '100.64.0.7',
    dnsName: 'told.tail.example',
    mode: 'DERP',
    agentPort: 9090,
    throughput: { download: '93.5 Mbit/s', upload: '41 Mbit/s', lastTestTime: '2026-01-01T00:00:00Z' },
  } as const;
  assert.deepEqual(await shown(whole), whole);
  assert.match(await world.type('caractrl describe node told'), /100\.64\.0\.7[\s\S]*told\.tail\.example[\s\S]*DERP/u);
});

test(sentence('ip — Headscale-assigned overlay IP address, e.g. 100.64.0.5'), async () => {
  assert.equal((await world.node('worker-01')).status.network?.ip, '100.64.0.5');
  assert.match(await world.type('caractrl get nodes worker-01 -o wide'), / 100\.64\.0\.5 /u);
});

test(sentence('dnsName — MagicDNS FQDN for service discovery'), async () => {
  assert.equal((await shown({ dnsName: 'worker-01.fleet.example.ts.net' })).dnsName, 'worker-01.fleet.example.ts.net');
});

test(sentence('mode — Direct when a peer-to-peer path exists; DERP otherwise'), async () => {
  assert.equal((await shown({ mode: 'Direct' })).mode, 'Direct');
  assert.equal((await shown({ mode: 'DERP' })).mode, 'DERP');
  assert.match(await refused({ mode: 'Carrier pigeon' }), /Direct.*DERP/u);
});

test(sentence('agentPort — TCP port the agent’s HTTP server listens on'), async () => {
  const { network } = (await world.node('worker-01')).status;
  assert.equal(network?.agentPort, Number(new URL(agent.url).port));
  assert.equal((await fetch(`http://127.0.0.1:${network?.agentPort}/healthz`)).status, 200);
});

test(sentence('throughput.download — Last measured download speed'), async () => {
  assert.equal((await shown({ throughput: { download: '93.5 Mbit/s' } })).throughput?.download, '93.5 Mbit/s');
  assert.equal((await shown({ throughput: { download: '12 Mbit/s' } })).throughput?.download, '12 Mbit/s'); // the last one
});

test(sentence('throughput.upload — Last measured upload speed'), async () => {
  assert.equal((await shown({ throughput: { upload: '41 Mbit/s' } })).throughput?.upload, '41 Mbit/s');
  assert.equal((await shown({ throughput: { upload: '9 Mbit/s' } })).throughput?.upload, '9 Mbit/s');
});

test(sentence('throughput.lastTestTime — Timestamp of the last speed measurement'), async () => {
  assert.equal((await shown({ throughput: { lastTestTime: '2026-01-01T00:00:00Z' } })).throughput?.lastTestTime, '2026-01-01T00:00:00Z');
  assert.match(await refused({ throughput: { lastTestTime: 'yesterday' } }), /lastTestTime/u);
});

test('ip, dnsName and mode: cara-agent reads them from the LocalAPI of the overlay daemon', async () => {
  using scratch = makeScratch();
  for (const [name, ip, CurAddr, mode] of [
    ['near', '100.64.0.8', '198.51.100.7:41641', 'Direct'],
    ['far', '100.64.0.9', '', 'DERP'],
  ] as const) {
    const status = tailscaleStatus(
      { Self: { DNSName: `${name}.fleet.example.ts.net.`, TailscaleIPs: [ip] } },
      { TailscaleIPs: ['127.0.0.1'], CurAddr }, // the server is the peer that has its address
    );
    await using daemon = await startFakeTailscale(path.join(scratch.path, name), status);
    // no interface here has the overlay address, so the agent is told where to listen
    const { url } = await world.startAgent(name, { env: { TAILSCALE_SOCKET: daemon.socketPath, AGENT_HOST: '127.0.0.1' } });
    const { status: shows } = await world.untilNode(name, 'to have the overlay address', (node) => node.status.network?.ip === ip);
    assert.deepEqual(shows.network, { ip, dnsName: `${name}.fleet.example.ts.net`, mode, agentPort: Number(new URL(url).port) });
    assert.match(await world.type(`caractrl get nodes ${name} -o wide`), new RegExp(` ${ip.replaceAll('.', '\\.')} `, 'u'));
  }
});

test('throughput: cara-agent measures it against the server', async () => {
  await world.startAgent('measured', { env: { THROUGHPUT_TEST: 'daily' } });
  await world.untilNode('measured', 'to be measured', (node) => node.status.network?.throughput !== undefined);
  const seen = JSON.parse(await world.type('caractrl --output json get nodes measured')) as NodeObject;
  const { download, upload, lastTestTime } = seen.status.network?.throughput ?? {};
  assert.match(`${download}; ${upload}`, /^[0-9.]+ [kMG]bit\/s; [0-9.]+ [kMG]bit\/s$/u);
  assert.ok(Math.abs(Date.parse(String(lastTestTime)) - Date.now()) < 60_000);
});
