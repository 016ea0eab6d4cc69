/** The real programs: a copy of a node's disk, and agents that are killed and started again. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { startFakeDocker } from '../support/engines/fake-docker.ts';
import { caractrl, startAgent, startServer, type Program } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const NODE = 'worker-01';

async function setUp() {
  const stack = new AsyncDisposableStack();
  const scratch = stack.use(makeScratch());
  const engine = stack.use(await startFakeDocker());
  const server = stack.use(await startServer({ env: { NODE_HEARTBEAT_TIMEOUT: '3s' } }));
  const start = async (machine: string): Promise<Program> =>
    stack.use(
      await startAgent({
        serverUrl: server.url,
        engineHost: engine.host,
        nodeName: NODE,
        dataDir: path.join(scratch.path, machine),
        env: { HEARTBEAT_INTERVAL: '500ms' },
      }),
    );
  return {
    server,
    start,
    /** What a copy of the disk of one machine gives to another. */
    copyDisk: (from: string, to: string): void => {
      mkdirSync(path.join(scratch.path, to));
      cpSync(path.join(scratch.path, from, 'identity.json'), path.join(scratch.path, to, 'identity.json'));
    },
    condition: async (): Promise<string> => {
      const node = (await (await fetch(`${server.url}/api/v1/nodes/${NODE}`)).json()) as NodeObject;
      const found = node.status.conditions.find(({ type }) => type === 'DuplicateIdentity');
      return `${node.status.state} ${found?.status ?? 'absent'} ${found?.message ?? ''}`;
    },
    standing: async (agent: Program): Promise<string> =>
      ((await (await fetch(`${agent.url}/healthz`)).json()) as { readonly standing: string }).standing,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const failures = (agent: Program) => agent.log().filter(({ msg }) => msg === 'registration failing');

describe('identity of agents', () => {
  test('of a machine and its copy the copy is refused and logs it once; the machine goes on, and the node says so', async () => {
    await using world = await setUp();
    const first = await world.start('first');
    await first.logged('node registered');
    world.copyDisk('first', 'copy');
    const copy = await world.start('copy');
    await until(async () => (await world.standing(copy)) === 'refused', { what: 'the copy to be refused', timeoutMs: 60_000 });
    assert.match(await world.condition(), /^Ready True .*identity\.json.*NODE_NAME/u);
    assert.equal(await world.standing(first), 'registered');
    const shown = await caractrl(['get', 'nodes'], { server: world.server.url });
    assert.match(shown.stdout, /worker-01 +Ready +DuplicateIdentity/u);
    await until(() => failures(copy).length > 0, { what: 'the copy to log', timeoutMs: 60_000 });
    await until(async () => (await world.condition()).startsWith('Ready True'), { what: 'still two', timeoutMs: 1000 });
    assert.match(
      String(failures(copy)[0]?.['detail']),
      /another live machine has the same identity.*caractrl node reset-identity worker-01/u,
    );
    const told = await first.logged('another machine claims the name of this node');
    assert.match(String(told['detail']), /is refused: .*identity\.json.*caractrl node reset-identity worker-01/u);
    await copy.kill();
    await until(async () => (await world.condition()).startsWith('Ready False'), { what: 'the dispute to end', timeoutMs: 60_000 });
    await first.logged('no other machine claims the name of this node any more');
    assert.deepEqual([failures(copy).length, failures(first).length], [1, 0]);
    assert.equal(first.log().filter(({ msg }) => msg === told['msg']).length, 1);
  });

  test('a node that is deleted while a second machine waits for its name does not come back before an agent is started', async () => {
    await using world = await setUp();
    const first = await world.start('first');
    await first.logged('node registered');
    world.copyDisk('first', 'copy');
    const copy = await world.start('copy');
    await until(async () => (await world.standing(copy)) === 'refused', { what: 'the copy to be refused', timeoutMs: 60_000 });
    await fetch(`${world.server.url}/api/v1/nodes/${NODE}`, { method: 'DELETE' });
    for (const agent of [first, copy]) {
      await until(async () => (await world.standing(agent)) === 'deleted', { what: 'both to know', timeoutMs: 60_000 });
    }
    assert.equal((await fetch(`${world.server.url}/api/v1/nodes/${NODE}`)).status, 404);
    assert.equal(
      copy.log().filter(({ msg }) => msg === 'node record was deleted: keeps supervising; restart cara-agent to register again').length,
      1,
    );
    await Promise.all([first.kill(), copy.kill()]);
    const next = await world.start('first');
    await until(async () => (await world.standing(next)) === 'registered', { what: 'its return', timeoutMs: 60_000 });
  });

  test('an agent that is killed gets in at once when it is started again, each time', async () => {
    await using world = await setUp();
    let agent = await world.start('first');
    await agent.logged('node registered');
    for (let restart = 0; restart < 3; restart += 1) {
      await agent.kill();
      agent = await world.start('first');
      await agent.logged('node registered');
      await until(async () => (await world.standing(agent)) === 'registered', { what: 'a heartbeat', timeoutMs: 60_000 });
      assert.deepEqual([failures(agent).length, (await world.condition()).trim()], [0, 'Ready absent']);
    }
  });
});
