/** The real cara-server, suspended for longer than the heartbeat timeout, as a laptop or a virtual machine is: no node is blamed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../scripts/lib/wait.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { openWatch } from '../support/worlds/api.ts';
import { startServer } from '../support/programs/programs.ts';

const TIMEOUT_MS = 2000;
const SUSPENDED_MS = 5000;
const NAMES = ['worker-01', 'worker-02'];

test('SIGSTOP for longer than the timeout, then SIGCONT: nodes that beat stay Ready, and one that is silent is told a timeout later', async () => {
  await using server = await startServer({ env: { NODE_HEARTBEAT_TIMEOUT: '2s' } });
  const beating = new Set(NAMES);
  const beat = async (name: string): Promise<number> =>
    (await fetch(`${server.url}/api/v1/nodes/${name}/heartbeat`, { method: 'POST' })).status;
  const ended = new AbortController();
  const agents = NAMES.map(async (name) => {
    await fetch(`${server.url}/api/v1/nodes/${name}/register`, { method: 'POST' });
    while (beating.has(name)) {
      assert.equal(await beat(name), 204);
      await delay(400);
    }
  });
  const stateOf = async (name: string): Promise<string | undefined> =>
    ((await (await fetch(`${server.url}/api/v1/nodes/${name}`)).json()) as Partial<NodeObject>).status?.state;
  const allReady = async (): Promise<boolean> => (await Promise.all(NAMES.map(stateOf))).every((state) => state === 'Ready');
  await until(allReady, { what: 'both nodes to be Ready', timeoutMs: 60_000 });

  const { metadata } = (await (await fetch(`${server.url}/api/v1/nodes`)).json()) as {
    readonly metadata: { readonly resourceVersion: string };
  };
  await using watch = await openWatch(server, 'nodes', `resourceVersion=${metadata.resourceVersion}`);
  const told: string[] = [];
  const watching = (async () => {
    for (let line = await watch.nextChange(); line !== undefined && !ended.signal.aborted; line = await watch.nextChange()) {
      if (line.type === 'MODIFIED') {
        told.push(`${line.object.metadata.name} ${line.object.status.state}`);
      }
    }
  })().catch(() => undefined); // cut at the end

  process.kill(server.pid, 'SIGSTOP');
  await delay(SUSPENDED_MS); // the very thing tested: time that passes
  process.kill(server.pid, 'SIGCONT');
  assert.match(String((await server.logged('the server stood still, leases are longer by that'))['stallMs']), /^\d+$/u);
  await until(allReady, { what: 'an answer', timeoutMs: 60_000 });
  const deadlineMs = performance.now() + TIMEOUT_MS + 1000;
  await until(() => performance.now() > deadlineMs, { what: 'a timeout to pass', timeoutMs: 60_000 });
  assert.deepEqual(told, []);

  beating.delete('worker-02');
  await agents[1];
  const silentSinceMs = performance.now();
  await until(() => told.length > 0, { what: 'worker-02 to be told', timeoutMs: 60_000 });
  const lateMs = performance.now() - silentSinceMs - TIMEOUT_MS;
  assert.deepEqual(told, ['worker-02 NotReady']);
  assert.ok(lateMs < 1000, `told ${lateMs} ms after the timeout`);
  beating.clear();
  await Promise.all(agents);
  ended.abort();
  await watch[Symbol.asyncDispose]();
  await watching;
});
