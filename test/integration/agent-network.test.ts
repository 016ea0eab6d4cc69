/** What a node shows of its network, from the agent's own looking: the overlay network, and how fast the line to the server is. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { NetworkStatus, NodeObject } from '../../src/api/node.ts';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { startFakeTailscale, tailscaleStatus } from '../support/network/fake-tailscale.ts';
import { caractrl } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const ON_LOOPBACK = { AGENT_HOST: '127.0.0.1' }; // no interface here has the fake's address

const PROJECT = {
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name: 'shop' },
  spec: { services: [{ name: 'web', image: 'web:1' }] },
};

const network = async ({ client }: AgentWorld): Promise<NetworkStatus> =>
  (await client.nodes.find('worker-01', FOREVER))?.status.network ?? {};

const measurements = ({ agentLog }: AgentWorld): number => agentLog.filter(({ msg }) => msg === 'throughput measured').length;

/** Waits for so many heartbeats from now on. */
async function beats(world: AgentWorld, count: number): Promise<void> {
  const seen = new Set<string | undefined>();
  await world.until(`${count} heartbeats`, async () => {
    seen.add((await world.client.nodes.find('worker-01', FOREVER))?.status.lastHeartbeat);
    return seen.size > count;
  });
}

describe('the network of a node', () => {
  it('agent shows ip, dnsName and mode as the overlay daemon tells them, and Ready whatever that says', async () => {
    using scratch = makeScratch();
    await using daemon = await startFakeTailscale(path.join(scratch.path, 's'), tailscaleStatus({}, { TailscaleIPs: ['127.0.0.1'] }));
    await using world = await startAgentWorld({
      agentEnv: { TAILSCALE_SOCKET: daemon.socketPath, ...ON_LOOPBACK },
      agentSpeed: 30, // the daemon is asked every 30 s
      heartbeatInterval: '15s',
    });
    await world.startAgent();
    const agentPort = Number(new URL(world.agent().url).port);
    const whole = { ip: '100.64.0.5', dnsName: 'worker-01.fleet.example.net', mode: 'Direct', agentPort } as const;
    await world.until('the address of the overlay network', async () => (await network(world)).ip === whole.ip);
    assert.deepEqual(await network(world), whole);
    daemon.answer(tailscaleStatus({}, { TailscaleIPs: ['127.0.0.1'], CurAddr: '' }));
    await world.until('a relayed path', async () => (await network(world)).mode === 'DERP');
    daemon.answer(tailscaleStatus({ BackendState: 'Stopped' }));
    await world.until('the address of the route', async () => (await network(world)).ip === '127.0.0.1');
    assert.deepEqual(await network(world), { ip: '127.0.0.1', agentPort });
    assert.equal((await world.client.nodes.get('worker-01', FOREVER)).status.state, 'Ready');
  });

  it('agent listens on loopback and shows the configured address where no interface has that of the overlay network', async () => {
    using scratch = makeScratch();
    await using daemon = await startFakeTailscale(path.join(scratch.path, 's'), tailscaleStatus({ TUN: false }));
    await using world = await startAgentWorld({ agentEnv: { TAILSCALE_SOCKET: daemon.socketPath, NODE_IP: '203.0.113.9' } });
    await world.startAgent();
    assert.equal(new URL(world.agent().url).hostname, '127.0.0.1');
    await world.until('the name', async () => (await network(world)).dnsName === 'worker-01.fleet.example.net');
    assert.equal((await network(world)).ip, '203.0.113.9');
  });

  it('agent listens on the address of the overlay network', async () => {
    using scratch = makeScratch();
    const status = tailscaleStatus({ Self: { TailscaleIPs: ['127.0.0.2'] } });
    await using daemon = await startFakeTailscale(path.join(scratch.path, 's'), status);
    await using world = await startAgentWorld({ agentEnv: { TAILSCALE_SOCKET: daemon.socketPath } });
    await world.startAgent();
    assert.equal(new URL(world.agent().url).hostname, '127.0.0.2');
  });

  it('agent measures the line once; the node shows it, caractrl too, and a restarted agent tells it without measuring again', async () => {
    await using world = await startAgentWorld({ agentEnv: { THROUGHPUT_TEST: 'daily' } });
    await world.startAgent();
    const measured = await world.until('a measurement', async () => (await network(world)).throughput);
    assert.match(`${measured.download}; ${measured.upload}`, /^[0-9.]+ [kMG]bit\/s; [0-9.]+ [kMG]bit\/s$/u);
    assert.ok(Math.abs(Date.parse(String(measured.lastTestTime)) - Date.now()) < 60_000);
    const { code, stdout } = await caractrl(['--output', 'json', 'get', 'nodes'], { server: world.client.serverUrl });
    assert.equal(code, 0);
    const { items } = JSON.parse(stdout) as { readonly items: readonly NodeObject[] };
    assert.deepEqual(items[0]?.status.network?.throughput, measured);

    await world.stopAgent();
    await world.client.nodes.delete('worker-01', {}, FOREVER);
    await world.startAgent();
    assert.deepEqual(await world.until('the measurement that was kept', async () => (await network(world)).throughput), measured);
    assert.equal(measurements(world), 1);
    assert.ok(readFileSync(path.join(world.dataDir, 'throughput.json'), 'utf8').includes(String(measured.lastTestTime)));
  });

  it('agent measures nothing while it pulls an image, and does so afterwards', async () => {
    await using world = await startAgentWorld({ agentEnv: { THROUGHPUT_TEST: 'daily' }, agentSpeed: 30, heartbeatInterval: '15s' });
    const { promise: pulled, resolve: endPull } = Promise.withResolvers<void>();
    world.engine.addRemoteImage('web:1');
    world.engine.fail({ on: 'POST /images/create', times: 10, hold: pulled });
    const pulls = (): number => world.engine.requests.filter((request) => request === 'POST /images/create').length;
    await world.startAgent();
    await world.client.projects.apply('shop', PROJECT, FOREVER);
    await world.until('a pull', () => pulls() === 1);
    await world.stopAgent();
    // started without the server, the agent pulls for what it was assigned last, and measures when the server is there
    await world.stopServer();
    rmSync(path.join(world.dataDir, 'throughput.json'), { force: true });
    await world.startAgent();
    await world.until('another pull', () => pulls() === 2);
    const before = measurements(world);
    await world.startServer();
    await beats(world, 5); // the test was due within one
    assert.equal(measurements(world), before);
    endPull();
    await world.until('a measurement', () => measurements(world) > before);
  });

  it('agent measures nothing with THROUGHPUT_TEST=off', async () => {
    await using world = await startAgentWorld({ heartbeatInterval: '100ms' });
    await world.startAgent();
    await beats(world, 5);
    assert.equal(measurements(world), 0);
    assert.equal((await network(world)).throughput, undefined);
    assert.ok(!existsSync(path.join(world.dataDir, 'throughput.json')));
  });
});
