/** Changes in place on a real engine. Run with: npm run test:e2e -- rollout */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { readLastLines } from '../../src/agent/reconcile/last-lines.ts';
import { createRolloutMemory } from '../../src/agent/reconcile/desired/rollout.ts';
import type { ProjectObject, Service } from '../../src/api/project.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { makeProject } from '../support/objects/projects.ts';
import { LiveReconciler } from '../support/worlds/reconcile-live.ts';

const HOST = testEngine();
const CLUSTER = randomUUID();
const { signal } = new AbortController();

const WEB: Service = {
  name: 'web',
  image: IMAGES.v1.tag,
  command: ['greeter'],
  healthCheck: { test: ['CMD', '/bin/busybox', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1:8080/'], interval: '1s', retries: 2 },
  stopGracePeriod: '2s',
};

/** Calls the service by its name without end, a new connection each time, and counts; says a word for each that failed. */
const CALLER: Service = {
  name: 'caller',
  image: IMAGES.v1.tag,
  entrypoint: ['/bin/sh', '-c'],
  command: [
    'while :; do /bin/busybox timeout 5 /bin/busybox wget -q -O /dev/null http://web:8080/ && n=$((n+1)) || echo FAILED; echo $n > /tmp/n; done',
  ],
  healthCheck: { test: ['CMD', '/bin/busybox', 'test', '-s', '/tmp/n'], interval: '1s' },
  tmpfs: [{ mountPath: '/tmp' }],
  stopGracePeriod: '0s',
  dependsOn: [{ service: 'web', condition: 'Healthy' }],
};

function shop(generation: number, web: Partial<Service> = {}): ProjectObject {
  return makeProject({ name: 'ro-shop', uid: CLUSTER, generation, services: [{ ...WEB, ...web }, CALLER] });
}

async function failuresOf(live: LiveReconciler): Promise<readonly string[]> {
  const caller = await live.inspect('ro-shop', 'caller');
  return await readLastLines(live.engine, caller?.id ?? assert.fail('there is no caller'), signal);
}

after(async () => {
  const left = await contentsOf(HOST, 'cara_ro-');
  for (const name of Object.keys(left.containers)) {
    await callEngineJson({ host: HOST, method: 'DELETE', path: `/containers/${name}?force=1` });
  }
  await Promise.all(left.networks.map(async (name) => await callEngineJson({ host: HOST, method: 'DELETE', path: `/networks/${name}` })));
});

test('a service answers by its name all through a change, a change that is rolled back, and a crash of the agent in one', async () => {
  const rollouts = createRolloutMemory();
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER, rollouts });
  live.assign(shop(1));
  await live.untilPhase('Running', shop(1));
  await until(() => live.latest('ro-shop')?.goodGeneration === 1, { what: 'the first version to be good', timeoutMs: 60_000 });

  live.reconciler.upsert({ project: shop(2, { image: IMAGES.v2.tag }) });
  await live.untilPhase('Running', shop(2));
  assert.deepEqual(await failuresOf(live), []);
  assert.deepEqual(Object.keys((await contentsOf(HOST, 'cara_ro-shop')).containers).toSorted(), [
    'cara_ro-shop_caller',
    'cara_ro-shop_web',
  ]);

  const bad = shop(3, { entrypoint: ['/bin/sh', '-c'], command: ['echo cannot reach the till; exec /bin/busybox sleep 3600'] });
  live.reconciler.upsert({ project: bad });
  const failed = await live.untilPhase('Failed', bad);
  assert.equal(failed.reason, 'RolledBack');
  assert.match(failed.message ?? '', /^Generation 3 was rolled back to 2 as service "web" failed: Its health check fails, last with /u);
  assert.match(failed.message ?? '', /\nThe last lines of its log:\n {2}cannot reach the till$/u);
  assert.deepEqual(await failuresOf(live), []);

  await live.crash();
  for (let generation = 4; generation < 12; generation += 1) {
    const next = shop(generation, { env: [{ name: 'N', value: String(generation) }] });
    await using crashing = new LiveReconciler({ host: HOST, clusterId: CLUSTER, rollouts });
    crashing.assign(next);
    const names = ['cara_ro-shop_web_next', 'cara_ro-shop_web'];
    await until(
      async () => (await callEngineJson({ host: HOST, path: `/containers/${names[0]}/json` }).catch(() => undefined)) !== undefined,
      { what: 'the next version to stand there', timeoutMs: 60_000 },
    );
    await until(() => crashing.latest('ro-shop')?.services?.some(({ message }) => message === undefined) === true, {
      what: 'the change to be under way',
      timeoutMs: 60_000,
    });
  }
  await using last = new LiveReconciler({ host: HOST, clusterId: CLUSTER, rollouts });
  const end = shop(11, { env: [{ name: 'N', value: '11' }] });
  last.assign(end);
  await last.untilPhase('Running', end);
  assert.deepEqual(await failuresOf(last), []);
});
