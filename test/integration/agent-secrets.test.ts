/** Secrets from apply to a container: a real server, a real agent, a fake engine. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import type { FakeContainer } from '../support/engines/fake-docker/state.ts';

const VALUE = 'correct-horse-battery';
const SERVICES = [
  {
    name: 'web',
    image: 'web:1',
    env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'shop', key: 'password' } } }],
    files: [
      { mountPath: '/etc/web/password', mode: '0400', secretKeyRef: { name: 'shop', key: 'password' } },
      { mountPath: '/etc/web/conf', content: 'debug: false\n' },
    ],
  },
  { name: 'other', image: 'web:1' },
];

async function applySecret({ client }: AgentWorld, values: Readonly<Record<string, string>>): Promise<void> {
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name: 'shop' }, stringData: values };
  await client.secrets.apply('shop', manifest, FOREVER);
}

async function applyProject({ client }: AgentWorld, services: readonly object[] = SERVICES): Promise<void> {
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec: { services } };
  await client.projects.apply('shop', manifest, FOREVER);
}

async function setUp(): Promise<AgentWorld> {
  const world = await startAgentWorld();
  world.engine.addImage('web:1');
  await world.startAgent();
  await applySecret(world, { password: VALUE });
  await applyProject(world);
  await inPhase(world, 'Running');
  return world;
}

async function inPhase(world: AgentWorld, phase: string, reason?: string): Promise<void> {
  await world.until(`the Project to be ${phase}`, async () => {
    const { status } = await world.client.projects.get('shop', FOREVER);
    return status.phase === phase && (reason === undefined || status.reason === reason);
  });
}

function containerOf({ engine }: AgentWorld, service = 'web'): FakeContainer | undefined {
  return [...engine.state.containers.values()].find(({ name }) => name === `cara_shop_${service}`);
}

test('values reach the container and no place else: no log line, no file of the agent, no status', async () => {
  await using world = await setUp();
  const web = containerOf(world);
  assert.deepEqual(web?.body.Env, [`PASSWORD=${VALUE}`]);
  assert.deepEqual(Object.fromEntries(web.files), {
    '/etc/web/password': { mode: 0o400, content: VALUE },
    '/etc/web/conf': { mode: 0o444, content: 'debug: false\n' },
  });
  await world.until('the assignment on disk', () => readdirSync(world.dataDir).includes('assignments.json'));
  await world.stopAgent();
  for (const file of readdirSync(world.dataDir)) {
    assert.doesNotMatch(readFileSync(path.join(world.dataDir, file), 'utf8'), new RegExp(`${VALUE}|${btoa(VALUE)}`, 'u'), file);
  }
  assert.doesNotMatch(JSON.stringify(world.agentLog), new RegExp(`${VALUE}|${btoa(VALUE)}`, 'u'));
  assert.doesNotMatch(JSON.stringify(await world.client.projects.get('shop', FOREVER)), new RegExp(VALUE, 'u'));
  const labels = [...world.engine.state.containers.values()].map(({ body }) => body.Labels);
  assert.doesNotMatch(JSON.stringify(labels), new RegExp(VALUE, 'u'));
});

test('a changed Secret rolls the service that uses it and leaves the other alone', async () => {
  await using world = await setUp();
  const before = [containerOf(world)?.id, containerOf(world, 'other')?.id];
  await applySecret(world, { password: 'new' });
  await world.until(
    'the new value',
    () => containerOf(world)?.body.Env?.[0] === 'PASSWORD=new' && containerOf(world)?.status === 'running',
  );
  assert.notEqual(containerOf(world)?.id, before[0]);
  assert.equal(containerOf(world)?.files.get('/etc/web/password')?.content, 'new');
  assert.equal(containerOf(world, 'other')?.id, before[1]);
});

test('an agent that starts while the server is away adopts what runs', async () => {
  await using world = await setUp();
  await applySecret(world, { password: 'new' });
  await world.until('the new value', () => containerOf(world)?.body.Env?.[0] === 'PASSWORD=new');
  await inPhase(world, 'Running');
  const { length } = world.engine.requests;
  const before = [containerOf(world)?.id, containerOf(world, 'other')?.id];
  await world.stopAgent();
  await world.stopServer();
  const told = world.agentLog.length;
  await world.startAgent();
  const isRunning = (): boolean => world.agentLog.slice(told).some(({ msg, to }) => msg === 'project phase changed' && to === 'Running');
  await world.until('it to find that all is as it should be', isRunning);
  await world.startServer();
  await inPhase(world, 'Running');
  assert.deepEqual([containerOf(world)?.id, containerOf(world, 'other')?.id], before);
  const changes = world.engine.requests.slice(length).filter((request) => /^(?:POST|PUT|DELETE) /u.test(request));
  assert.deepEqual(changes, []);
});

test('a deleted Secret touches nothing that runs; a new container waits, says so, and goes on when it is back', async () => {
  await using world = await setUp();
  const before = containerOf(world)?.id;
  const { warnings } = await world.client.secrets.delete('shop', {}, FOREVER);
  assert.match(warnings[0] ?? '', /still used by shop/u);
  await applyProject(world, [SERVICES[0] ?? {}, { ...SERVICES[1], command: ['again'] }]);
  await world.until(
    'the other service to be replaced',
    () => world.engine.requests.filter((request) => request === 'POST /containers/create').length === 3,
  );
  await inPhase(world, 'Running');
  assert.equal(containerOf(world)?.id, before);
  world.engine.state.removeContainer('cara_shop_web', true);
  await inPhase(world, 'Failed', 'SecretNotFound');
  assert.equal(containerOf(world), undefined);
  await applySecret(world, { password: VALUE });
  await inPhase(world, 'Running');
  assert.deepEqual(containerOf(world)?.body.Env, [`PASSWORD=${VALUE}`]);
});

test('a Secret that comes after its Project starts it', async () => {
  await using world = await startAgentWorld();
  world.engine.addImage('web:1');
  await world.startAgent();
  await applyProject(world);
  await inPhase(world, 'Failed', 'SecretNotFound');
  assert.equal(containerOf(world), undefined);
  await world.until('the other service', () => containerOf(world, 'other')?.status === 'running');
  await applySecret(world, { password: VALUE });
  await inPhase(world, 'Running');
});
