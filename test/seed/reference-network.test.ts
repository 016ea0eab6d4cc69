/**
 * The reference: status.network. What an agent reports is kept and shown, whoever measured it: most rows are told here by a stand-in for
 * an agent, which speaks the same API. Below each stands, as a todo, that cara-agent measures it by itself.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkStatus, NodeObject } from '../../src/api/node.ts';
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

/*
 * PLACE for what cara-agent measures by itself. To be made tests when the overlay monitor and the throughput test are part of the agent:
 * start test/support/fake-tailscale.ts, point an agent at its socket, and look at status.network.
 */
test('ip, dnsName and mode: cara-agent reads them from the LocalAPI of the overlay daemon', { todo: true });
test('throughput: cara-agent measures it against the server', { todo: true });
