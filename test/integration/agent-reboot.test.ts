/** An agent whose machine was booted since it ran last: how it comes back, with the server there and without. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';

const logged = ({ agentLog }: AgentWorld, msg: string) => agentLog.filter((record) => record['msg'] === msg);
const trialStates = (world: AgentWorld) => logged(world, 'trial of machine changed').map((record) => record['to']);
const phaseOf = async ({ client }: AgentWorld, name: string) => (await client.projects.find(name, FOREVER))?.status.phase;
const runningOf = ({ engine }: AgentWorld, project: string) =>
  [...engine.state.containers.values()].filter(({ name, status }) => name.startsWith(`cara_${project}_`) && status === 'running').length;

/** A world with a Project that is fenced and one that is not; then the machine goes down, and all of its containers with it. */
async function setUp() {
  let boot = 'boot-1';
  const world = await startAgentWorld({ bootId: () => boot, heartbeatTimeout: '3s' });
  await world.startAgent();
  world.engine.addImage('web:1');
  for (const [name, onNodeLost] of [
    ['plain', { action: 'Keep' }],
    ['fenced', { action: 'Reschedule', after: '20s', fence: true }],
  ] as const) {
    const services = [{ name: 'web', image: 'web:1', stopGracePeriod: '1s' }];
    const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services, onNodeLost } };
    await world.client.projects.apply(name, manifest, FOREVER);
    await world.until(`${name} to run`, async () => (await phaseOf(world, name)) === 'Running');
  }
  await world.until('both on disk', () => readFileSync(path.join(world.dataDir, 'assignments.json'), 'utf8').includes('"fenced"'));
  await world.stopAgent();
  [...world.engine.state.containers.keys()].forEach((id) => world.engine.state.stopContainer(id));
  boot = 'boot-2';
  return world;
}

test('a machine that was booted is looked at first, then starts what was assigned, and is sure of itself after a timeout', async () => {
  await using world = await setUp();
  await world.startAgent();
  await world.until('plain to run', () => runningOf(world, 'plain') === 1);
  assert.deepEqual(trialStates(world)[0], 'provisional');
  assert.equal(runningOf(world, 'fenced'), 0, 'its grants may still be used by a copy');
  await world.until('the trial to be over', () => trialStates(world).includes('over'));
  assert.equal(logged(world, 'registration failing').length, 0);
  await world.stopAgent();
  await world.startAgent();
  assert.equal(logged(world, 'trial of machine changed').length, 2, 'a restart of the agent is no other boot');
});

test('a machine that was booted while the server is away starts what is not fenced after three intervals', async () => {
  await using world = await setUp();
  await world.stopServer();
  await world.startAgent();
  await world.until('plain to run', () => runningOf(world, 'plain') === 1);
  assert.equal(logged(world, 'trial of machine changed')[0]?.['why'], 'the server does not answer');
  assert.equal(runningOf(world, 'fenced'), 0);
  const { id } = [...world.engine.state.containers.values()].find(({ name }) => name === 'cara_plain_web') ?? assert.fail();
  await world.startServer();
  await world.until('the trial to be over', () => trialStates(world).includes('over'));
  assert.equal(runningOf(world, 'plain'), 1);
  assert.ok(world.engine.state.containers.has(id));
});
