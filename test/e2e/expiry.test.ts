/** A Project with a time to live on a real engine: warned of, extended as it runs, and taken away at its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const PREVIEW = JSON.stringify({
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name: 'preview' },
  spec: {
    ttl: '15s',
    services: [{ name: 'web', image: IMAGES.v1.tag, entrypoint: ['/bin/busybox', 'sleep'], command: ['86400'], stopGracePeriod: '0s' }],
  },
});

test('a Project is warned of at 80 % of its time, runs on when it is extended, and is gone when its time is up', async () => {
  using scratch = makeScratch();
  await using server = await startServer();
  const dataDir = scratch.path;
  const env = { HEARTBEAT_INTERVAL: '500ms' };
  await using agent = await startAgent({ serverUrl: server.url, engineHost: testEngine(), nodeName: 'worker-01', dataDir, env });
  await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await caractrl(args, { server: server.url });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const untilTold = async (pattern: RegExp): Promise<boolean> =>
    await until(async () => pattern.test(await run('events')), { what: `an Event of ${pattern}`, timeoutMs: 60_000 });
  const isExpiring = async (): Promise<boolean> => {
    const conditions = (await findObject(server.url, 'projects/preview'))?.status['conditions'] as readonly Record<string, string>[];
    return conditions.some(({ type, status }) => type === 'Expiring' && status === 'True');
  };
  assert.equal((await caractrl(['apply', '-f', '-'], { server: server.url, input: PREVIEW })).code, 0);
  await projectInPhase(server.url, { name: 'preview', phase: 'Running' });
  const { containers: before } = await contentsOf(testEngine());
  await until(isExpiring, { what: 'the warning', timeoutMs: 60_000 });
  await untilTold(/Warning +Expiring/u);

  await run('extend', 'preview', '10m');
  await until(async () => !(await isExpiring()), { what: 'the warning to go', timeoutMs: 60_000 });
  await projectInPhase(server.url, { name: 'preview', phase: 'Running' });
  assert.deepEqual((await contentsOf(testEngine())).containers, before, 'more time is no reason to touch a container');

  await run('extend', 'preview', '--until', new Date(Date.now() + 3000).toISOString());
  await until(async () => (await findObject(server.url, 'projects/preview')) === undefined, { what: 'the end', timeoutMs: 60_000 });
  const { containers, networks } = await contentsOf(testEngine());
  assert.deepEqual([Object.keys(containers), networks], [[], []]);
  await untilTold(/Warning +Expired/u);
  assert.equal(await agent.stop(), 0);
});
