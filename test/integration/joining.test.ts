/** Machines that join a server that asks for credentials: real servers and agents on loopback with AUTH=token, over HTTP. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { proofText } from '../../src/api/node/node-proof.ts';
import type { TokenRequest } from '../../src/api/token.ts';
import { manifestOf, startApi } from '../support/worlds/api.ts';
import { startAccessWorld, type AccessWorld } from '../support/worlds/access-world.ts';
import { startAgentWorld, type AgentWorld, type AgentWorldOptions } from '../support/worlds/agent-world.ts';
import { startCtl } from '../support/worlds/ctl.ts';

const TOKEN = { serverEnv: { AUTH: 'token' } } as const;

// oxlint-disable-next-line typescript/no-explicit-any -- what an answer holds is what the test asserts
async function call(world: AgentWorld, method: string, where: string, body?: unknown): Promise<{ status: number; body: any }> {
  const token = /cara_t\S+/u.exec(world.shown())?.[0] ?? '';
  const answer = await fetch(`${world.server().url}/api/v1${where}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

async function createToken(world: AgentWorld, request: TokenRequest): Promise<string> {
  return (await call(world, 'POST', '/tokens', request)).body.token as string;
}

async function setUp(options: AgentWorldOptions = TOKEN): Promise<AgentWorld> {
  const world = await startAgentWorld({ ...options, serverEnv: { ...TOKEN.serverEnv, ...options.serverEnv } });
  world.engine.addImage('web:1');
  return world;
}

async function untilReady(world: AgentWorld, name = 'worker-01'): Promise<void> {
  await world.until(`${name} to be Ready`, async () => (await call(world, 'GET', `/nodes/${name}`)).body?.status?.state === 'Ready');
}

test('a machine joins with a token, beats, runs a Project, and comes back with its own key alone', async () => {
  await using world = await setUp();
  const joinToken = await createToken(world, { role: 'node', node: 'worker-01' });
  await world.startAgent('worker-01', { JOIN_TOKEN: joinToken });
  await untilReady(world);
  const key = path.join(world.dataDir, 'node.key');
  assert.equal(statSync(key).mode & 0o777, 0o600);
  await call(world, 'POST', '/projects', manifestOf('Project', 'shop', { spec: { services: [{ name: 'web', image: 'web:1' }] } }));
  await world.until(
    'the Project to have been reported on',
    async () => (await call(world, 'GET', '/projects/shop')).body.status.services.length === 1,
  );
  await world.stopAgent();
  await world.startAgent(); // without the token
  await world.until('its return', () => world.agent().standing() === 'registered');
  const { body } = await call(world, 'GET', '/tokens');
  const used = body.items.find((token: { spec: { node?: string } }) => token.spec.node === 'worker-01');
  assert.equal(used.status.usesLeft, 0);
  const files = [key, path.join(world.dataDir, 'identity.json')].map((file) => readFileSync(file, 'utf8')).join('');
  assert.doesNotMatch(files, /cara_/u, 'no credential is on disk');
  assert.doesNotMatch(JSON.stringify(world.agentLog), /cara_[tn]|PRIVATE/u, 'nor in the log');
});

test('without a token an agent that has never joined ends, and says what to run', async () => {
  await using world = await setUp();
  const agent = await world.startAgent();
  const error = await agent.failed;
  assert.match(
    String(error),
    /Cannot register node "worker-01" at http:\S+: .*it has not joined this cluster: run "caractrl token create --role node --node worker-01"/u,
  );
});

test('a token is good for as many machines as it says; the next is told', async () => {
  await using world = await setUp();
  const joinToken = await createToken(world, { role: 'node' });
  await world.startAgent('worker-01', { JOIN_TOKEN: joinToken });
  await untilReady(world);
  await world.stopAgent();
  const other = path.join(world.dataDir, '..', 'other');
  const agent = await world.startAgent('worker-02', { JOIN_TOKEN: joinToken, DATA_DIR: other });
  assert.match(String(await agent.failed), /the join token was used up: run "caractrl token create --role node --node worker-02"/u);
});

test('JOIN_TOKEN_FILE may come later, and a wrong one is told', async () => {
  await using world = await setUp();
  const file = path.join(world.dataDir, '..', 'token');
  await world.startAgent('worker-01', { JOIN_TOKEN_FILE: file });
  await world.until('the missing file to be told', () =>
    JSON.stringify(world.agentLog).includes('JOIN_TOKEN_FILE as there is no such file'),
  );
  writeFileSync(file, `${await createToken(world, { role: 'node' })}\n`);
  await untilReady(world);
});

test('with NODE_APPROVAL=required a machine waits until somebody approves it; all who should are told how', async () => {
  await using world = await setUp({ serverEnv: { NODE_APPROVAL: 'required' } });
  assert.match(world.shown(), /cara-agent\n\nIt then waits until you let it in.*\n {2}caractrl node approve NAME\n/u);
  await world.startAgent('worker-01', { JOIN_TOKEN: await createToken(world, { role: 'node' }) });
  await world.until('it to be told', () => JSON.stringify(world.agentLog).includes('caractrl node approve worker-01'));
  assert.equal((await call(world, 'GET', '/nodes/worker-01')).status, 404);
  const { body } = await call(world, 'GET', '/node-keys');
  assert.deepEqual([body.items[0].name, body.items[0].state, body.items[0].address], ['worker-01', 'Pending', '127.0.0.1']);
  const admin = /cara_t\S+/u.exec(world.shown())?.[0] ?? '';
  const run = (args: string, token = admin) => startCtl(args.split(' '), { server: world.server().url, env: { CARA_TOKEN: token } });
  const told = 'warning: one machine waits to be let in: caractrl node approve worker-01\n';
  assert.deepEqual(await run('get nodes').done, { code: 0, stdout: '', stderr: `No nodes found\n${told}` });
  const viewer = await createToken(world, { role: 'viewer', user: 'alice' });
  assert.equal((await run('get nodes', viewer).done).stderr, 'No nodes found\n', 'who cannot approve is not asked to');
  const watch = run('get nodes -w');
  await watch.shows(told);
  assert.match((await run('node approve worker-01').done).stdout, /^node\/worker-01 approved/u);
  await untilReady(world);
  await watch.shows('worker-01');
  watch.interrupt();
  assert.equal((await watch.done).stderr, told);
  assert.equal((await run('get nodes').done).stderr, '');
});

test('a machine that is rejected does not get in again by the token that it joined with, and says why; by another it does', async () => {
  await using world = await setUp();
  const joinToken = await createToken(world, { role: 'node', uses: 5 });
  await world.startAgent('worker-01', { JOIN_TOKEN: joinToken });
  await untilReady(world);
  assert.equal((await call(world, 'DELETE', '/node-keys/worker-01')).body.state, 'Rejected');
  const words =
    /as it was rejected, and shows the join token that it joined with: run \S+caractrl token create --role node --node worker-01/u;
  await world.until('it to be told', () =>
    world.agentLog.some(({ msg, detail }) => msg === 'heartbeats failing' && words.test(String(detail))),
  );
  const again = await call(world, 'DELETE', '/node-keys/worker-01');
  const approval = await call(world, 'POST', '/nodes/worker-01/approve');
  assert.deepEqual([again.body.state, approval.status, approval.body.reason], ['Rejected', 403, 'Forbidden']);
  await world.stopAgent();
  await world.startAgent('worker-01', { JOIN_TOKEN: joinToken });
  const told = (): number =>
    world.agentLog.filter(({ msg, detail }) => msg === 'registration failing' && words.test(String(detail))).length;
  await world.until('its next start to be told', () => told() > 0);
  await world.stopAgent();
  await world.startAgent('worker-01', { JOIN_TOKEN: await createToken(world, { role: 'node' }) });
  await world.until('its return', () => world.agent().standing() === 'registered');
});

test('deleting a node revokes its credential and its key; what it runs, runs on; a new token lets it in at its next start', async () => {
  await using world = await setUp();
  await world.startAgent('worker-01', { JOIN_TOKEN: await createToken(world, { role: 'node' }) });
  await untilReady(world);
  await call(world, 'POST', '/projects', manifestOf('Project', 'shop', { spec: { services: [{ name: 'web', image: 'web:1' }] } }));
  await world.until('a container', () => world.engine.state.containers.size > 0);
  assert.equal((await call(world, 'DELETE', '/nodes/worker-01')).status, 200);
  await world.until('the agent to know', () => world.agent().standing() === 'deleted');
  assert.equal((await call(world, 'GET', '/node-keys')).body.items[0].state, 'Revoked');
  assert.ok(world.engine.state.containers.size > 0);
  assert.deepEqual(
    (
      await world.server().app.inject({
        method: 'POST',
        url: '/api/v1/nodes/worker-01/heartbeat',
        headers: { 'content-type': 'application/json' },
        payload: '{}',
      })
    ).statusCode,
    401,
  );
  await world.stopAgent();
  await world.startAgent('worker-01', { JOIN_TOKEN: await createToken(world, { role: 'node', node: 'worker-01' }) });
  await untilReady(world);
});

test('a server that begins to ask for credentials takes nothing down', async () => {
  const serverEnv: Record<string, string> = { AUTH: 'none' };
  await using world = await startAgentWorld({ serverEnv });
  await world.startAgent();
  await world.until('it to be registered', () => world.agent().standing() === 'registered');
  await world.stopServer();
  serverEnv['AUTH'] = 'token';
  await world.startServer();
  await world.until('it to be told', () => JSON.stringify(world.agentLog).includes('it has not joined this cluster'));
  await world.stopAgent();
  await world.startAgent('worker-01', { JOIN_TOKEN: await createToken(world, { role: 'node' }) });
  await untilReady(world);
});

test('a join token that is still good does not let the agent of a deleted node back in before its next start', async () => {
  await using world = await startAccessWorld();
  const { publicKey } = newKey();
  const { token } = await world.createToken({ role: 'node', uses: 5 });
  const send = (body: object) => world.with(token, 'POST', '/nodes/w-1/register', { body: { publicKey, ...body } });
  assert.equal((await send({})).status, 200);
  await world.as('admin', 'DELETE', '/nodes/w-1');
  await world.as('admin', 'DELETE', '/node-keys/w-1');
  const renewal = await send({ renewal: true });
  assert.deepEqual([renewal.status, renewal.body.reason], [410, 'NodeDeleted']);
  const { body } = await world.as('admin', 'GET', '/node-keys');
  assert.equal(body.items.find(({ name }: { name: string }) => name === 'w-1').state, 'Rejected', 'its key was taken down');
  assert.equal((await send({ publicKey: newKey().publicKey })).status, 200);
});

/** An agent's key, used by hand. */
function newKey(): { readonly publicKey: string; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKey.export({ format: 'jwk' }).x ?? '', privateKey };
}

interface Prover {
  readonly world: AccessWorld;
  readonly node: string;
  readonly privateKey: KeyObject;
}

async function proofOf({ world, node, privateKey }: Prover, signedFor = node): Promise<{ challenge: string; signature: string }> {
  const { body } = await world.api.call('POST', `/nodes/${node}/challenge`);
  const text = proofText({ clusterId: body.clusterId, node: signedFor, challenge: body.challenge });
  return { challenge: body.challenge, signature: sign(null, Buffer.from(text), privateKey).toString('base64url') };
}

async function join(world: AccessWorld, node: string, publicKey: string, request: Partial<TokenRequest> = {}) {
  const { token } = await world.createToken({ role: 'node', ...request });
  return await world.with(token, 'POST', `/nodes/${node}/register`, { body: { publicKey } });
}

test('proofs that are replayed, forged, of another key, node or cluster give nothing', async () => {
  await using world = await startAccessWorld();
  const mine = newKey();
  const others = newKey();
  assert.equal((await join(world, 'w-1', mine.publicKey)).status, 200);
  assert.equal((await join(world, 'w-2', others.publicKey)).status, 200);
  const prover = { world, node: 'w-1', privateKey: mine.privateKey };
  const prove = (body: object, node = 'w-1') => world.api.call('POST', `/nodes/${node}/credential`, { body });
  const proof = await proofOf(prover);
  const good = await prove(proof);
  assert.deepEqual([good.status, good.body.lastsMs], [200, 3_600_000]);
  const wrong = [
    ['replayed', proof, 'w-1'],
    ['of another key', await proofOf({ ...prover, privateKey: others.privateKey }), 'w-1'],
    ['for another node', await proofOf(prover, 'w-2'), 'w-1'],
    ['shown for another node', await proofOf(prover), 'w-2'],
    ['for nobody', await proofOf({ ...prover, node: 'w-nobody' }), 'w-nobody'],
    ['with a challenge of ones own', { ...(await proofOf(prover)), challenge: 'A'.repeat(43) }, 'w-1'],
  ] as const;
  for (const [what, body, node] of wrong) {
    const answer = await prove(body, node);
    assert.deepEqual([answer.status, answer.body.reason], [401, 'Unauthorized'], what);
  }
  assert.equal((await prove({ challenge: 'x', signature: 'y' })).status, 400);
  const statuses = new Set<number>();
  for (let index = 0; index < 40; index += 1) {
    statuses.add((await prove({ ...proof, challenge: 'A'.repeat(43) })).status);
  }
  assert.ok(statuses.has(429));
  assert.equal((await prove(await proofOf(prover))).status, 200, 'who has the key is not held up');
});

test('a credential is bound to its node, and ends after an hour, with the node, or with the key', async () => {
  await using world = await startAccessWorld();
  const { publicKey, privateKey } = newKey();
  await join(world, 'w-1', publicKey);
  const obtain = async (): Promise<string> =>
    (await world.api.call('POST', '/nodes/w-1/credential', { body: await proofOf({ world, node: 'w-1', privateKey }) })).body
      .token as string;
  const beat = async (token: string, node = 'w-1') => (await world.with(token, 'POST', `/nodes/${node}/heartbeat`, { body: {} })).status;
  const first = await obtain();
  assert.deepEqual([await beat(first), await beat(first, 'w-own')], [204, 403]);
  await world.api.clock.advance(3_599_000);
  assert.equal(await beat(first), 204);
  const second = await obtain();
  await world.api.clock.advance(1000);
  assert.deepEqual([await beat(first), await beat(second)], [401, 204]);
  await world.as('admin', 'DELETE', '/node-keys/w-1');
  assert.equal(await beat(second), 401);
  await join(world, 'w-1', publicKey);
  const third = await obtain();
  assert.equal(await beat(third), 204);
  await world.as('admin', 'DELETE', '/nodes/w-1');
  assert.equal(await beat(third), 401);
  const late = await world.api.call('POST', '/nodes/w-1/credential', { body: await proofOf({ world, node: 'w-1', privateKey }) });
  assert.deepEqual([late.status, late.body.reason], [410, 'NodeDeleted']);
  await world.as('admin', 'POST', '/nodes', { body: manifestOf('Node', 'w-1') });
  const recreated = await world.api.call('POST', '/nodes/w-1/credential', { body: await proofOf({ world, node: 'w-1', privateKey }) });
  assert.equal(recreated.status, 410, 'a record made anew under the name is not its node');
});

test('a machine that was off for a year gets in with its key, and with nothing of then', async () => {
  await using world = await startAccessWorld();
  const { publicKey, privateKey } = newKey();
  await join(world, 'w-1', publicKey);
  const obtain = async (): Promise<string> => {
    const body = await proofOf({ world, node: 'w-1', privateKey });
    return (await world.api.call('POST', '/nodes/w-1/credential', { body })).body.token as string;
  };
  const beat = async (token: string) => (await world.with(token, 'POST', '/nodes/w-1/heartbeat', { body: {} })).status;
  const former = await obtain();
  assert.equal(await beat(former), 204);
  world.api.clock.stall(366 * 86_400_000); // the loops of the server see that year as one pause
  await world.api.clock.advance(1000);
  assert.equal(await beat(former), 401);
  assert.equal(await beat(await obtain()), 204);
});

test('a token for any name takes nobody’s name away; one for this name does, as does a reset identity', async () => {
  await using world = await startAccessWorld();
  const [mine, thief, reinstalled, third] = [newKey(), newKey(), newKey(), newKey()];
  assert.equal((await join(world, 'w-1', mine.publicKey)).status, 200);
  const stolen = await join(world, 'w-1', thief.publicKey);
  assert.deepEqual([stolen.status, stolen.body.reason], [409, 'NameTaken']);
  assert.match(stolen.body.detail, /run "caractrl token create --role node --node w-1"/u);
  const misused = await join(world, 'w-1', thief.publicKey, { node: 'w-9' });
  assert.deepEqual([misused.status, misused.body.reason], [403, 'Forbidden']);
  assert.equal((await join(world, 'w-1', reinstalled.publicKey, { node: 'w-1' })).status, 200);
  const former = await world.api.call('POST', '/nodes/w-1/credential', {
    body: await proofOf({ world, node: 'w-1', privateKey: mine.privateKey }),
  });
  assert.equal(former.status, 401);
  await world.as('admin', 'POST', '/nodes/w-1/reset-identity');
  assert.equal((await join(world, 'w-1', third.publicKey)).status, 200);
});

test('joining twice with one key uses a token up once, also at the same moment', async () => {
  await using world = await startAccessWorld();
  const { publicKey } = newKey();
  const { token, id } = await world.createToken({ role: 'node' });
  const register = (node: string, key: string) => world.with(token, 'POST', `/nodes/${node}/register`, { body: { publicKey: key } });
  const again = await Promise.all([register('w-1', publicKey), register('w-1', publicKey), register('w-1', publicKey)]);
  assert.deepEqual(
    again.map(({ status }) => status),
    [200, 200, 200],
  );
  const others = await Promise.all(['w-2', 'w-3'].map((node) => register(node, newKey().publicKey)));
  assert.deepEqual(
    others.map(({ status }) => status),
    [401, 401],
  );
  const { body } = await world.as('admin', 'GET', '/tokens');
  assert.equal(body.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === id).status.usesLeft, 0);
});

test('two machines cannot join with one use at the same moment', async () => {
  await using world = await startAccessWorld();
  const { token } = await world.createToken({ role: 'node' });
  const answers = await Promise.all(
    ['w-1', 'w-2', 'w-3'].map((node) => world.with(token, 'POST', `/nodes/${node}/register`, { body: { publicKey: newKey().publicKey } })),
  );
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((left, right) => left - right),
    [200, 401, 401],
  );
});

test('where nothing is asked for, an agent needs no key and makes none', async () => {
  await using api = await startApi();
  assert.equal((await api.call('POST', '/nodes/w-1/register', { body: {} })).status, 200);
  await using world = await startAgentWorld();
  await world.startAgent();
  await world.until('it to be registered', () => world.agent().standing() === 'registered');
  assert.throws(() => statSync(path.join(world.dataDir, 'node.key')), { code: 'ENOENT' });
});
