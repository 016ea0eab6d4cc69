/** Who is let out is out: open streams of a token, and a node's tunnel with all that goes through it; and nobody else's. Over HTTP, through a tunnel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TokenRequest } from '../../src/api/token.ts';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { startCtl, type CtlRun } from '../support/worlds/ctl.ts';

const NODE = 'worker-01';
const LIMIT_MS = 60_000; // for a machine that has other things to do

interface World extends AsyncDisposable {
  readonly world: AgentWorld;
  createToken(request: TokenRequest): Promise<{ readonly token: string; readonly id: string }>;
  /** As the admin. */
  call(method: string, path: string): Promise<number>;
  /** caractrl with a token; ended with the world */
  start(token: string, ...args: readonly string[]): CtlRun;
}

async function setUp(): Promise<World> {
  const world = await startAgentWorld({ heartbeatInterval: '200ms', heartbeatTimeout: '60s', serverEnv: { AUTH: 'token' } });
  world.engine.addImage('web:1');
  const [admin = ''] = /cara_t\S+/u.exec(world.shown()) ?? [];
  const ask = async (method: string, path: string, body?: object): Promise<Response> =>
    await fetch(`${world.server().url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${admin}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const createToken: World['createToken'] = async (request) => {
    const { token, object } = (await (await ask('POST', '/tokens', request)).json()) as {
      token: string;
      object: { metadata: { name: string } };
    };
    return { token, id: object.metadata.name };
  };
  const { token: joinToken } = await createToken({ role: 'node' });
  await world.startAgent(NODE, { JOIN_TOKEN: joinToken, NODE_IP: '127.0.0.2' }); // where it does not listen: all goes through the tunnel
  const spec = { services: [{ name: 'web', image: 'web:1' }] };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
  await world.until('the Project to run', async () => (await world.client.projects.get('shop', FOREVER)).status.phase === 'Running');
  const container = [...world.engine.state.containers.values()][0]?.id ?? '';
  world.engine.state.writeLog(container, 'stdout', 'one\n');
  const runs: CtlRun[] = [];
  return {
    world,
    createToken,
    call: async (method, path) => {
      const answer = await ask(method, path);
      await answer.body?.cancel();
      return answer.status;
    },
    start: (token, ...args) => {
      const run = startCtl(args, { server: world.server().url, env: { CARA_TOKEN: token }, limitMs: LIMIT_MS });
      runs.push(run);
      return run;
    },
    [Symbol.asyncDispose]: async () => {
      runs.forEach((run) => run.interrupt());
      await Promise.all(runs.map(({ done }) => done));
      await world[Symbol.asyncDispose]();
    },
  };
}

const FOLLOW = ['logs', 'shop', '-f'] as const;
const SLEEP = ['exec', 'shop/web', '--', 'sh', '-c', 'echo begun; exec sleep 600'] as const;

test('a token that is revoked ends its watch, its log stream and its command, and nobody else’s', async () => {
  await using world = await setUp();
  const [gone, stays] = await Promise.all([
    world.createToken({ role: 'editor', user: 'gone', rights: ['exec'] }),
    world.createToken({ role: 'editor', user: 'stays', rights: ['exec'] }),
  ]);
  const [log, command, watch] = [
    world.start(gone.token, ...FOLLOW),
    world.start(gone.token, ...SLEEP),
    world.start(gone.token, 'get', 'projects', '--watch'),
  ];
  const others = [world.start(stays.token, ...FOLLOW), world.start(stays.token, ...SLEEP)];
  let ended = 0;
  others.forEach(({ done }) => void done.then(() => (ended += 1)));
  await Promise.all([log.shows('one'), command.shows('begun'), watch.shows('shop'), others[0]?.shows('one'), others[1]?.shows('begun')]);

  assert.equal(await world.call('DELETE', `/tokens/${gone.id}`), 200);
  for (const [run, words] of [
    [log, /there is no such token t[0-9a-f]+ here: it was revoked/u],
    [command, /^error: Cannot tell how the command in shop\/web has ended: the token that opened it has ended\n/u],
    [watch, /it was revoked|the credential was revoked/u],
  ] as const) {
    const { code, stderr } = await run.done;
    assert.deepEqual([code, words.test(stderr)], [1, true], stderr);
  }
  assert.equal(ended, 0, 'a stream of another token has ended');
});

for (const [what, path] of [
  ['a node whose key is revoked', `/node-keys/${NODE}`],
  ['a node that is deleted', `/nodes/${NODE}`],
] as const) {
  test(`${what} loses its tunnel, and what went through it ends`, async () => {
    await using world = await setUp();
    const { token } = await world.createToken({ role: 'editor', user: 'ed', rights: ['exec'] });
    const command = world.start(token, ...SLEEP);
    await command.shows('begun');
    assert.equal(world.world.server().tunnels.size, 1);
    assert.equal(await world.call('DELETE', path), 200);
    await world.world.until('the tunnel to be cut', () => world.world.server().tunnels.size === 0);
    assert.match((await command.done).stderr, /^error: Cannot tell how the command in shop\/web has ended: it was cut at node worker-01/u);
    await world.world.until('the agent to be refused', () =>
      world.world.agentLog.some(({ msg }) => /refus|credential|deleted/u.test(String(msg))),
    );
    assert.equal(world.world.server().tunnels.size, 0, 'it has come back');
    assert.ok(world.world.engine.state.containers.size > 0, 'what it ran was taken down');
  });
}
