/** The reconciler with the real client against the fake engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service } from '../../src/api/project.ts';
import { until } from '../../scripts/lib/wait.ts';
import { type FakeDocker, startFakeDocker } from '../support/engines/fake-docker.ts';
import { makeProject, type ProjectOptions } from '../support/objects/projects.ts';
import { LiveReconciler } from '../support/worlds/reconcile-live.ts';

const DB: Service = {
  name: 'db',
  image: 'db:1',
  healthCheck: { test: ['CMD', 'true'] },
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
};
const WEB: Service = {
  name: 'web',
  image: 'web:1',
  ports: [{ containerPort: 8080, hostPort: 8000 }],
  dependsOn: [{ service: 'db', condition: 'Healthy' }],
};

function shop(options: ProjectOptions = {}): ProjectObject {
  return makeProject({ services: [WEB, DB], volumes: [{ name: 'data' }], ...options });
}

async function newFake(): Promise<FakeDocker> {
  const fake = await startFakeDocker();
  for (const image of ['web:1', 'web:2', 'db:1']) {
    fake.addImage(image);
  }
  return fake;
}

function idsByName(fake: FakeDocker): Readonly<Record<string, string>> {
  return Object.fromEntries([...fake.state.containers.values()].map(({ name, id }) => [name, id]));
}

function countOf(fake: FakeDocker, request: RegExp): number {
  return fake.requests.filter((line) => request.test(line)).length;
}

const soon = { timeoutMs: 60_000, intervalMs: 5 };

test('a Project comes up, is adopted by a second reconciler, changes in place and goes', async () => {
  await using fake = await newFake();
  const first = new LiveReconciler({ host: fake.host });
  first.assign(shop());
  await first.untilPhase('Running', shop());
  await first.crash();
  const ids = idsByName(fake);

  await using second = new LiveReconciler({ host: fake.host });
  second.assign(shop({ assignment: 2 }));
  await second.untilPhase('Running', shop());
  assert.deepEqual(idsByName(fake), ids);

  const changed = shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }, DB] });
  second.reconciler.upsert({ project: changed });
  const report = await second.untilPhase('Running', changed);
  assert.equal(report.services?.find(({ name }) => name === 'web')?.image, 'web:2');
  assert.equal(idsByName(fake)['cara_shop_db'], ids['cara_shop_db']);

  const deleted = shop({ generation: 2, isDeleted: true });
  second.reconciler.upsert({ project: deleted });
  await second.untilPhase('Terminated', deleted);
  assert.deepEqual([fake.state.containers.size, fake.state.networks.size, fake.state.volumes.size], [0, 0, 0]);
});

test('a start that answers 500 and took place is told as Running, and no second container is made', async () => {
  await using fake = await newFake();
  fake.fail({ on: 'POST /containers/*/start', answer: { status: 500, message: 'context deadline exceeded' }, isDoneAnyway: true });
  fake.fail({ on: 'POST /containers/create', answer: { status: 500, message: 'context deadline exceeded' }, isDoneAnyway: true });
  await using live = new LiveReconciler({ host: fake.host });
  live.assign(shop());
  await live.untilPhase('Running', shop());
  assert.equal(fake.state.events.filter(({ Action }) => Action === 'create').length, 4, 'network, volume, two containers');
});

test('an image is pulled, and what the registry says against it reaches the report', async () => {
  await using fake = await newFake();
  fake.addRemoteImage('far:1');
  fake.addRemoteImage('secret:1', 'pull access denied for secret, repository does not exist or may require docker login');
  const project = makeProject({
    services: [
      { name: 'a', image: 'far:1' },
      { name: 'b', image: 'secret:1' },
    ],
  });
  await using live = new LiveReconciler({ host: fake.host });
  live.assign(project);
  const failed = await live.untilPhase('Failed', project);
  assert.equal(failed.reason, 'ImagePullFailed');
  assert.match(failed.message ?? '', /^b: .*pull access denied for secret/u);
  await until(() => live.latest('shop')?.services?.find(({ name }) => name === 'a')?.ready, { what: 'service a', ...soon });
  assert.match(live.latest('shop')?.services?.[0]?.imageDigest ?? '', /^sha256:/u);
});

test('an engine that is stopped and started under a running Project makes nothing happen to it', async () => {
  await using fake = await newFake();
  await using live = new LiveReconciler({ host: fake.host });
  live.assign(shop());
  await live.untilPhase('Running', shop());
  const before = idsByName(fake);
  const reports = live.reports.length;
  await fake.stop();
  await until(() => fake.eventStreamCount === 0, { what: 'the event stream to break', ...soon });
  await fake.start();
  const lists = countOf(fake, /^GET \/containers\/json/u);
  await until(() => countOf(fake, /^GET \/containers\/json/u) > lists, { what: 'a new look', ...soon });
  assert.deepEqual(idsByName(fake), before);
  assert.deepEqual(live.reports.slice(reports), []);
  fake.state.exitContainer('cara_shop_web', 143);
  await until(() => fake.state.getContainer('cara_shop_web').status === 'running', { what: 'web to run again', ...soon });
});

test('a Project that hangs in a pull does not delay another', async () => {
  await using fake = await newFake();
  const { promise, resolve } = Promise.withResolvers<void>();
  fake.fail({ on: 'POST /images/create', hold: promise });
  await using live = new LiveReconciler({ host: fake.host });
  const stuck = makeProject({ name: 'stuck', uid: 'u2', services: [{ name: 'a', image: 'far:1' }] });
  live.assign(stuck, shop());
  await live.untilPhase('Running', shop());
  assert.equal(live.latest('stuck')?.services?.[0]?.state, 'Pulling');
  resolve();
});

test('a hundred Projects come up on one engine, each with a network of its own', async () => {
  await using fake = await newFake();
  await using live = new LiveReconciler({ host: fake.host });
  const projects = Array.from({ length: 100 }, (_, n) =>
    makeProject({ name: `p${n}`, uid: `u${n}`, services: [{ name: 'web', image: 'web:1' }] }),
  );
  live.assign(...projects);
  for (const project of projects) {
    await live.untilPhase('Running', project);
  }
  const subnets = [...fake.state.networks.values()].map(({ subnet }) => subnet);
  assert.equal(new Set(subnets).size, 100);
  assert.ok(subnets.every((subnet) => /^10\.210\.\d+\.\d+\/26$/u.test(subnet)));
});
