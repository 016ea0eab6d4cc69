/** The agent against a real server and a fake engine: its standing, and what it does while the server is away, changed or mistaken. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { StartError } from '../../src/base/program.ts';
import { FOREVER, startAgentWorld, type AgentWorld, type AgentWorldOptions } from '../support/worlds/agent-world.ts';

const PROJECT = {
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name: 'shop' },
  spec: { services: [{ name: 'web', image: 'web:1' }] },
};

const nodeState = async ({ client }: AgentWorld) => (await client.nodes.find('worker-01', FOREVER))?.status.state;
const phase = async ({ client }: AgentWorld, name = 'shop') => (await client.projects.find(name, FOREVER))?.status.phase;
const containerIds = ({ engine }: AgentWorld) => [...engine.state.containers.keys()];
const logged = ({ agentLog }: AgentWorld, msg: string) => agentLog.filter((record) => record['msg'] === msg);

async function run(world: AgentWorld, name = 'shop'): Promise<void> {
  world.engine.addImage('web:1');
  await world.client.projects.apply(name, { ...PROJECT, metadata: { name } }, FOREVER);
  await world.until(`${name} to run`, async () => (await phase(world, name)) === 'Running');
}

async function setUp(options: AgentWorldOptions = {}): Promise<AgentWorld> {
  const world = await startAgentWorld(options);
  await world.startAgent();
  await world.until('the node to be Ready', async () => (await nodeState(world)) === 'Ready');
  return world;
}

describe('agent session', () => {
  it('agent registers, beats, and reports what the machine has', async () => {
    await using world = await setUp();
    const { spec, status } = await world.client.nodes.get('worker-01', FOREVER);
    assert.ok(spec.hostname);
    assert.equal(status.network?.ip, '127.0.0.1');
    assert.equal(status.network?.agentPort, Number(new URL(world.agent().url).port));
    assert.match(String(status.capacity?.memory), /^\d+(Ki|Mi|Gi)$/u);
    assert.ok(status.capacity?.cpu && status.capacity.disk && status.allocatable?.cpu && status.allocatable.disk);
    assert.equal(status.info?.agentVersion, '0.1.0');
    const seen = status.lastHeartbeat;
    await world.until('another heartbeat', async () => (await world.client.nodes.get('worker-01', FOREVER)).status.lastHeartbeat !== seen);
  });

  it('agent brings a Project up, says so, and takes it down', async () => {
    await using world = await setUp();
    await run(world);
    assert.equal(containerIds(world).length, 1);
    await world.until('the assignment on disk', () =>
      readFileSync(path.join(world.dataDir, 'assignments.json'), 'utf8').includes('"shop"'),
    );
    await world.client.projects.delete('shop', {}, FOREVER);
    await world.until('shop to be gone', async () => (await phase(world)) === undefined);
    assert.deepEqual(containerIds(world), []);
    await world.until(
      'the file to forget it',
      () => !readFileSync(path.join(world.dataDir, 'assignments.json'), 'utf8').includes('"shop"'),
    );
  });

  it('agent started while the server is away keeps up what it was last assigned, and adopts it', async () => {
    await using world = await setUp();
    await run(world);
    const before = containerIds(world);
    await world.stopAgent();
    await world.stopServer();
    await world.startAgent();
    await world.until('registration to fail', () => logged(world, 'registration failing').length > 0);
    assert.equal(world.agent().standing(), 'joining');
    await world.until('the Project to be looked at', () =>
      logged(world, 'projects assigned').some((record) => record['source'] === 'file'),
    );
    await world.startServer();
    await world.until('the node to register', () => world.agent().standing() === 'registered');
    await world.until('the Project to run', async () => (await phase(world)) === 'Running');
    assert.deepEqual(containerIds(world), before);
  });

  it('agent and Projects go on through a restart of the server, and the agent says so once', async () => {
    await using world = await setUp();
    await run(world);
    const before = containerIds(world);
    await world.stopServer();
    await world.until('heartbeats to fail', () => logged(world, 'heartbeats failing').length > 0);
    await world.startServer();
    await world.until('heartbeats to recover', () => logged(world, 'heartbeats recovered').length > 0);
    await run(world, 'blog');
    assert.ok(before.every((id) => containerIds(world).includes(id)));
    assert.equal(logged(world, 'heartbeats failing').length, 1);
    assert.equal(logged(world, 'node registered').length, 1);
  });

  it('agent of a deleted node keeps its containers, says so once, and registers at its next start', async () => {
    await using world = await setUp();
    await run(world);
    const before = containerIds(world);
    await world.client.nodes.delete('worker-01', {}, FOREVER);
    await world.until('the agent to notice', () => world.agent().standing() === 'deleted');
    await world.until('the Project to be Failed', async () => (await phase(world)) === 'Failed');
    assert.equal(await world.client.nodes.find('worker-01', FOREVER), undefined);
    assert.deepEqual(containerIds(world), before);
    await world.stopAgent();
    await world.startAgent();
    await world.until('the node to be Ready', async () => (await nodeState(world)) === 'Ready');
    await world.until('the Project to run again', async () => (await phase(world)) === 'Running');
    assert.deepEqual(containerIds(world), before);
    assert.equal(logged(world, 'node record was deleted: keeps supervising; restart cara-agent to register again').length, 1);
  });

  it('agent comes back when the record of its deleted node is made anew, and its Projects with it', async () => {
    await using world = await setUp();
    await run(world);
    const before = containerIds(world);
    await world.client.nodes.delete('worker-01', {}, FOREVER);
    await world.until('the agent to notice', () => world.agent().standing() === 'deleted');
    await world.until('the Project to be Failed', async () => (await phase(world)) === 'Failed');
    await world.client.nodes.apply('worker-01', { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-01' } }, FOREVER);
    await world.until('the agent to be back', () => world.agent().standing() === 'registered');
    await world.until('the Project to run again', async () => (await phase(world)) === 'Running');
    assert.deepEqual(containerIds(world), before);
    assert.equal(logged(world, 'node registered').length, 1);
  });

  it('agent of a record that was made anew is reached again, though what it shows of itself was for the former', async () => {
    await using world = await setUp({ agentSpeed: 20, heartbeatInterval: '20s' });
    const hasTunnel = (): boolean => world.server().tunnels.find('worker-01') !== undefined;
    await world.until('a tunnel', hasTunnel);
    await world.client.nodes.delete('worker-01', {}, FOREVER);
    await world.until('the tunnel to go', () => !hasTunnel());
    await world.until('the agent to notice', () => world.agent().standing() === 'deleted');
    await world.client.nodes.apply('worker-01', { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-01' } }, FOREVER);
    await world.until('a tunnel again', hasTunnel);
  });

  it('agent joins a control plane that lost everything, and leaves the containers of the former alone', async () => {
    await using world = await setUp();
    await run(world);
    const before = containerIds(world);
    await world.stopServer();
    await world.startServer({ isFresh: true });
    await world.until('the node to be Ready', async () => (await nodeState(world)) === 'Ready');
    await run(world, 'blog');
    assert.ok(before.every((id) => containerIds(world).includes(id)));
    assert.equal(logged(world, 'control plane is another one: containers of the former keep running unsupervised').length, 1);
  });

  it('agent reports within one beat that its engine went away, and that it is back', async () => {
    await using world = await setUp({ agentSpeed: 20, heartbeatInterval: '20s' }); // pings every 250 ms, beats every second
    await world.engine.stop();
    await world.until('the node to be NotReady', async () => (await nodeState(world)) === 'NotReady');
    const { status } = await world.client.nodes.get('worker-01', FOREVER);
    const condition = status.conditions.find(({ type }) => type === 'RuntimeUnavailable');
    assert.equal(condition?.status, 'True');
    assert.match(condition.message, /is Docker running\?/u);
    await world.engine.start();
    await world.until('the node to be Ready', async () => (await nodeState(world)) === 'Ready');
  });

  it('agent reports an engine that is away from the start on', async () => {
    await using world = await startAgentWorld();
    await world.engine.stop();
    await world.startAgent();
    const condition = await world.until('the condition', async () => {
      const node = await world.client.nodes.find('worker-01', FOREVER);
      return node?.status.conditions.find(({ type, status }) => type === 'RuntimeUnavailable' && status === 'True');
    });
    assert.equal(condition.reason, 'EngineUnreachable');
    assert.equal(await nodeState(world), 'NotReady');
  });

  it('agent refuses to share its data folder, and lets go of it when it stops', async () => {
    await using world = await setUp();
    await assert.rejects(
      world.startAgent('worker-02'),
      (error) => error instanceof StartError && /another cara-agent uses .*: set DATA_DIR to another folder/u.test(error.message),
    );
    assert.equal(existsSync(path.join(world.dataDir, 'agent.lock')), true);
    assert.equal(statSync(world.dataDir).mode & 0o777, 0o700);
    await world.stopAgent();
    assert.equal(existsSync(path.join(world.dataDir, 'agent.lock')), false);
  });

  it('agent answers on its own port', async () => {
    await using world = await setUp();
    const response = await fetch(`${world.agent().url}/healthz`);
    const health = (await response.json()) as Record<string, unknown>;
    assert.deepEqual([health['status'], health['node'], health['standing']], ['ok', 'worker-01', 'registered']);
  });
});
