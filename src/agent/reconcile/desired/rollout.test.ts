import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service } from '../../../api/project.ts';
import { makeProject, type ProjectOptions } from '../../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../../test/support/worlds/reconcile-world.ts';
import { FakeSecrets } from '../../../../test/support/objects/secrets.ts';
import { createRolloutMemory, type RolloutStore } from './rollout.ts';

const CHECK = { healthCheck: { test: ['CMD', 'true'] } };
const WEB: Service = { name: 'web', image: 'web:1', ...CHECK };
const DB: Service = { name: 'db', image: 'db:1', ...CHECK, volumeMounts: [{ name: 'data', mountPath: '/data' }] };

function shop(options: ProjectOptions): ProjectObject {
  return makeProject({ volumes: [{ name: 'data' }], ...options });
}

async function worldWith(project: ProjectObject, options: ConstructorParameters<typeof ReconcileWorld>[0] = {}): Promise<ReconcileWorld> {
  const world = new ReconcileWorld(options);
  ['web:1', 'web:2', 'db:1', 'db:2'].forEach((image) => world.model.addImage(image));
  world.assign([project]);
  await world.until(() => world.latest()?.goodGeneration === 1);
  return world;
}

function idOf(world: ReconcileWorld, name: string): string | undefined {
  return world.model.byName(name)?.id;
}

async function untilRolledBack(world: ReconcileWorld): Promise<void> {
  await world.until(() => world.latest()?.reason === 'RolledBack' && world.latest()?.services?.every(({ ready }) => ready) === true);
}

test('a new version stands beside the old one until it is healthy, and only then is it called by the service’s name', async () => {
  await using world = await worldWith(shop({ services: [WEB] }));
  const old = idOf(world, 'cara_shop_web');
  world.model.health.set('web:2', { status: 'starting', failingStreak: 3, log: [] });
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] }) });
  await world.until(() => world.model.byName('cara_shop_web_next')?.state.isRunning === true);
  await world.clock.advance(60_000);
  assert.deepEqual(world.model.byName('cara_shop_web_next')?.endpoint.aliases, []);
  assert.equal(world.model.byName('cara_shop_web')?.id, old);
  assert.equal(world.latest()?.phase, 'Scheduled');
  assert.equal(world.service('web')?.message, 'Waiting for its health check; the version before serves on');
  world.model.onChange = (_change, _subject) => {
    const called = [...world.model.containers.values()].filter(
      ({ state, endpoint }) => state.isRunning && endpoint.aliases.includes('web'),
    );
    assert.ok(called.length > 0, 'nobody answers to the name of the service');
  };
  world.model.setState('cara_shop_web_next', { health: { status: 'healthy', failingStreak: 0, log: [] } });
  await world.untilPhase('Running');
  assert.equal(world.model.containers.size, 1);
  assert.notEqual(idOf(world, 'cara_shop_web'), old);
  assert.deepEqual(world.model.byName('cara_shop_web')?.endpoint.aliases, ['web']);
});

test('a new version without a health check takes over when it has stayed up for a little while', async () => {
  const { healthCheck: _check, ...plain } = WEB;
  await using world = await worldWith(shop({ services: [plain] }));
  const startMs = world.clock.monotonicMs();
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...plain, image: 'web:2' }] }) });
  await world.until(() => world.latest()?.observedGeneration === 2 && world.latest()?.phase === 'Running');
  assert.ok(world.clock.monotonicMs() - startMs >= 3000);
});

test('a version that turns unhealthy is rolled back with its last lines; the old one serves all the while and the new one is not tried again', async () => {
  await using world = await worldWith(shop({ services: [WEB] }));
  const old = idOf(world, 'cara_shop_web');
  world.model.health.set('web:2', { status: 'unhealthy', failingStreak: 3, log: [] });
  world.model.output.set(
    'web:2',
    [...Array(30).keys()].map((n) => `line ${n}`),
  );
  const before = world.model.changes.length;
  const bad = shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] });
  world.reconciler.upsert({ project: bad });
  await untilRolledBack(world);
  const { phase, message = '', observedGeneration, goodGeneration } = world.latest() ?? assert.fail();
  assert.deepEqual([phase, observedGeneration, goodGeneration], ['Failed', 2, 1]);
  assert.match(message, /^Generation 2 was rolled back to 1 as service "web" failed: Its health check fails/u);
  assert.match(message, /\nThe last lines of its log:\n {2}line 10\n(?:.*\n)*? {2}line 29$/u);
  await world.clock.advance(3_600_000);
  assert.equal(idOf(world, 'cara_shop_web'), old);
  assert.deepEqual(world.model.changes.slice(before), [
    'createContainer cara_shop_web_next',
    'startContainer cara_shop_web_next',
    'stopContainer cara_shop_web_next',
    'removeContainer cara_shop_web_next',
  ]);
  assert.equal(
    world.reports.some(({ report }) => report.phase === 'Failed' && report.reason !== 'RolledBack'),
    false,
    'who waits would stop at a failure that has no end yet',
  );
});

test('a version that is rolled back is tried again when it becomes another, by its spec or by a restart', async () => {
  await using world = await worldWith(shop({ services: [WEB] }));
  world.model.health.set('web:2', { status: 'unhealthy', failingStreak: 3, log: [] });
  const bad = shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] });
  world.reconciler.upsert({ project: bad });
  await untilRolledBack(world);
  world.model.health.delete('web:2');
  const other = { ...bad, metadata: { ...bad.metadata, generation: 3 }, spec: { ...bad.spec, expireAt: '2030-01-01T00:00:00Z' } };
  world.reconciler.upsert({ project: other });
  await world.until(() => world.latest()?.observedGeneration === 3);
  assert.equal(world.latest()?.reason, 'RolledBack', 'its containers are asked to be what failed');
  const restarts = [{ service: 'web', at: '2026-01-01T00:00:01Z' }];
  world.reconciler.upsert({ project: { ...other, metadata: { ...other.metadata, generation: 4 }, status: { ...other.status, restarts } } });
  await world.until(() => world.latest()?.phase === 'Running');
  assert.equal(world.service('web')?.image, 'web:2');
});

test('what cannot overlap is stopped first, kept, and started again where the new version crashes', async () => {
  await using world = await worldWith(shop({ services: [DB] }));
  const old = idOf(world, 'cara_shop_db');
  world.model.onChange = (change, subject) => {
    if (change === 'startContainer' && world.model.byName(subject)?.spec.image === 'db:2') {
      world.model.exit(subject, 1, { restarts: 3 });
    }
  };
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...DB, image: 'db:2' }] }) });
  await untilRolledBack(world);
  assert.equal(idOf(world, 'cara_shop_db'), old);
  assert.equal(world.model.containers.size, 1);
});

test('the version before that an older file had started again makes way for the newer one when the server has spoken', async () => {
  const db = { ...DB, ports: [{ containerPort: 80, hostPort: 8080 }] };
  const [first, second] = [shop({ services: [db] }), shop({ generation: 2, services: [{ ...db, image: 'db:2' }] })];
  const rollouts = createRolloutMemory();
  const before = await worldWith(first, { rollouts });
  const { model, clock } = before;
  model.health.set('db:2', { status: 'starting', failingStreak: 0, log: [] });
  before.reconciler.upsert({ project: second });
  await before.until(() => model.byName('cara_shop_db')?.spec.image === 'db:2' && model.byName('cara_shop_db')?.state.isRunning === true);
  await before.crash();
  model.exit('cara_shop_db', 137); // as when the machine loses its power, with a disk too full for the assignment
  model.health.set('db:1', { status: 'starting', failingStreak: 0, log: [] });
  await using after = new ReconcileWorld({ model, clock, rollouts });
  after.assign([first], 'file');
  await after.until(() => model.byName('cara_shop_db_previous')?.state.isRunning === true);
  model.health.delete('db:2');
  after.assign([second]);
  await after.until(() => after.latest()?.phase === 'Running' && after.latest()?.observedGeneration === 2);
  assert.deepEqual(
    [...model.containers.values()].map(({ name, spec }) => [name, spec.image]),
    [['cara_shop_db', 'db:2']],
  );
});

test('who lost the service’s names has a little time before it is stopped', async () => {
  await using world = await worldWith(shop({ services: [WEB] }));
  const times = new Map<string, number>();
  world.model.onChange = (change, subject) => void times.set(`${change} ${subject}`, world.clock.monotonicMs());
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] }) });
  await world.until(() => times.has('stopContainer cara_shop_web'));
  const detachedMs = times.get('connectNetwork cara_shop_web') ?? assert.fail('the old one kept its names');
  assert.ok((times.get('stopContainer cara_shop_web') ?? 0) - detachedMs >= 2000);
});

test('what was rolled back is cleared away also where the version before is not well either', async () => {
  await using world = await worldWith(shop({ services: [{ ...WEB, restartPolicy: 'Always' }] }));
  world.model.health.set('web:2', { status: 'unhealthy', failingStreak: 3, log: [] });
  world.model.onChange = (change, subject) => {
    if (change === 'startContainer' && subject === 'cara_shop_web_next') {
      world.model.health.set('web:1', { status: 'unhealthy', failingStreak: 3, log: [] }); // whenever it is restarted
      world.model.setState('cara_shop_web', { health: { status: 'unhealthy', failingStreak: 3, log: [] } });
    }
  };
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] }) });
  await world.until(() => world.latest()?.reason === 'RolledBack' && world.model.containers.size === 1);
  assert.equal(world.model.byName('cara_shop_web')?.spec.image, 'web:1');
});

test('a change that comes when the one before has taken over but for its name goes on from there', async () => {
  await using world = await worldWith(shop({ services: [WEB] }));
  world.model.addImage('web:3');
  const next = shop({ generation: 3, services: [{ ...WEB, image: 'web:3' }] });
  world.model.onChange = (change, subject) => {
    if (change === 'removeContainer' && subject === 'cara_shop_web' && world.model.byName('cara_shop_web_next')?.spec.image === 'web:2') {
      world.reconciler.upsert({ project: next });
    }
  };
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] }) });
  await world.until(() => world.latest()?.phase === 'Running' && world.latest()?.observedGeneration === 3);
  assert.equal(world.model.byName('cara_shop_web')?.spec.image, 'web:3');
  assert.equal(world.model.containers.size, 1);
});

test('a version whose container does not start is rolled back after a few tries', async () => {
  await using world = await worldWith(shop({ services: [DB] }));
  for (let n = 0; n < 3; n += 1) {
    world.model.fail({ on: 'startContainer', reason: 'Invalid' });
  }
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...DB, command: ['/none'] }] }) });
  await untilRolledBack(world);
  assert.match(world.latest()?.message ?? '', /service "db" failed: /u);
});

test('an engine in trouble gives no version up: it comes up when the engine is well, however often it failed before', async () => {
  await using world = await worldWith(shop({ services: [DB] }));
  const faults = ['EngineFault', 'Timeout', 'NoSpace', 'EngineFault', 'EngineFault'] as const;
  faults.forEach((reason) => world.model.fail({ on: 'createContainer', reason }));
  faults.forEach((reason) => world.model.fail({ on: 'startContainer', reason }));
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...DB, image: 'db:2' }] }) });
  await world.until(() => world.latest()?.phase === 'Running' && world.latest()?.observedGeneration === 2, 590_000);
  assert.equal(world.model.byName('cara_shop_db')?.spec.image, 'db:2');
  assert.equal(
    world.reports.some(({ report }) => report.reason === 'RolledBack'),
    false,
  );
});

test('a version that the engine cannot start for ten minutes goes back all the same', async () => {
  await using world = await worldWith(shop({ services: [DB] }));
  const old = idOf(world, 'cara_shop_db');
  world.model.onChange = (change, subject) => {
    if (change === 'renameContainer' && subject === 'cara_shop_db_previous') {
      Array.from({ length: 30 }, () => world.model.fail({ on: 'createContainer', reason: 'EngineFault' }));
    }
  };
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...DB, image: 'db:2' }] }) });
  await world.until(() => world.latest()?.reason === 'RolledBack' && world.service('db')?.ready === true, 700_000);
  assert.match(world.latest()?.message ?? '', /nothing has happened for 10 min: Cannot go on with/u);
  assert.equal(idOf(world, 'cara_shop_db'), old);
});

test('a change is held back as a whole while an image of it cannot be had, and goes on when it can', async () => {
  await using world = await worldWith(shop({ services: [WEB, DB] }));
  const ids = [idOf(world, 'cara_shop_web'), idOf(world, 'cara_shop_db')];
  world.reconciler.upsert({
    project: shop({
      generation: 2,
      services: [
        { ...WEB, image: 'web:2' },
        { ...DB, image: 'db:9' },
      ],
    }),
  });
  await world.until(() => world.latest()?.reason === 'ImagePullFailed');
  await world.clock.advance(600_000);
  assert.deepEqual([idOf(world, 'cara_shop_web'), idOf(world, 'cara_shop_db')], ids);
  world.model.registry.add('db:9');
  await world.until(() => world.latest()?.phase === 'Running', 400_000);
});

test('a Secret that breaks a service is rolled back to the container that has the old value', async () => {
  const secrets = new FakeSecrets();
  secrets.set('s', { key: 'old' });
  const service = { ...DB, env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'key' } } }] };
  await using world = await worldWith(secrets.fill(shop({ services: [service] })), { secrets });
  secrets.set('s', { key: 'new' });
  world.model.onChange = (change, subject) => {
    if (change === 'startContainer' && world.model.byName(subject)?.spec.env?.['KEY'] === 'new') {
      world.model.setState(subject, { health: { status: 'unhealthy', failingStreak: 3, log: [] } });
    }
  };
  world.reconciler.upsert({ project: secrets.fill(shop({ services: [service] })) });
  await untilRolledBack(world);
  assert.equal(world.model.byName('cara_shop_db')?.spec.env?.['KEY'], 'old');
  assert.match(world.latest()?.message ?? '', /^The change of generation 1 was rolled back/u);
});

test('a restarted agent remembers what was rolled back; one that lost it tries once more and ends the same', async () => {
  const kept = createRolloutMemory();
  let isLost = false;
  const rollouts: RolloutStore = { find: (uid) => kept.find(uid), put: (uid, record) => (isLost ? undefined : kept.put(uid, record)) };
  const bad = shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] });
  const first = await worldWith(shop({ services: [WEB] }), { rollouts });
  const { model, clock } = first;
  model.health.set('web:2', { status: 'unhealthy', failingStreak: 3, log: [] });
  first.reconciler.upsert({ project: bad });
  isLost = true;
  await first.until(() => model.changes.includes('startContainer cara_shop_web_next'));
  await first.crash();
  isLost = false;
  await using second = new ReconcileWorld({ model, clock, rollouts });
  second.assign([bad]);
  await untilRolledBack(second);
  const before = model.changes.length;
  await second.crash();
  await using third = new ReconcileWorld({ model, clock, rollouts });
  third.assign([bad], 'file');
  await untilRolledBack(third);
  assert.deepEqual(model.changes.slice(before), []);
});

test('a version that nothing happens to is given up after ten minutes', async () => {
  await using world = await worldWith(shop({ services: [WEB, DB] }));
  world.model.setState('cara_shop_db', { health: { status: 'starting', failingStreak: 0, log: [] } });
  const waits = { ...WEB, image: 'web:2', dependsOn: [{ service: 'db', condition: 'Healthy' as const }] };
  world.reconciler.upsert({ project: shop({ generation: 2, services: [waits, DB] }) });
  await world.until(() => world.latest()?.reason === 'RolledBack', 700_000);
  assert.match(world.latest()?.message ?? '', /nothing has happened for 10 min: Waiting for db to be healthy/u);
});

test('a first version has nothing to go back to: it stays Failed and is tried on', async () => {
  await using world = new ReconcileWorld();
  world.model.addImage('web:1');
  world.model.health.set('web:1', { status: 'unhealthy', failingStreak: 3, log: [] });
  world.assign([shop({ services: [WEB] })]);
  await world.until(() => world.latest()?.reason === 'Unhealthy');
  assert.equal(world.latest()?.goodGeneration, 0);
});

test('a service that the new spec no longer has goes when the rest is up, and stays where that is rolled back', async () => {
  await using world = await worldWith(shop({ services: [WEB, DB] }));
  const db = idOf(world, 'cara_shop_db');
  world.model.health.set('web:2', { status: 'unhealthy', failingStreak: 3, log: [] });
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }] }) });
  await untilRolledBack(world);
  assert.equal(idOf(world, 'cara_shop_db'), db);
  world.reconciler.upsert({ project: shop({ generation: 3, services: [{ ...WEB, command: ['other'] }] }) });
  await world.until(() => world.latest()?.phase === 'Running' && idOf(world, 'cara_shop_db') === undefined);
});
