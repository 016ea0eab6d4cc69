import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service } from '../../api/project.ts';
import { makeProject, type ProjectOptions } from '../../../test/support/objects/projects.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { CLUSTER, ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import { LABEL, ownerLabels, volumeLabels } from '../docker/names.ts';
import { configHash } from './desired/config-hash.ts';

const DB: Service = {
  name: 'db',
  image: 'db:1',
  healthCheck: { test: ['CMD', 'true'] },
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
};
const WEB: Service = {
  name: 'web',
  image: 'web:1',
  ports: [{ containerPort: 8080, hostPort: 80 }],
  dependsOn: [{ service: 'db', condition: 'Healthy' }],
};

/** A Project "shop" of web and db. */
function shop(options: ProjectOptions = {}): ProjectObject {
  return makeProject({ services: [WEB, DB], volumes: [{ name: 'data' }], ...options });
}

function newWorld(options: ConstructorParameters<typeof ReconcileWorld>[0] = {}): ReconcileWorld {
  const world = new ReconcileWorld(options);
  for (const image of ['web:1', 'web:2', 'db:1', 'db:2', 'job:1']) {
    world.model.addImage(image);
  }
  return world;
}

async function runningWorld(project = shop()): Promise<ReconcileWorld> {
  const world = newWorld();
  world.assign([project]);
  await world.untilPhase('Running');
  return world;
}

function idOf(world: ReconcileWorld, name: string): string | undefined {
  return world.model.byName(name)?.id;
}

test('assign() brings a Project up in the order of its dependencies', async () => {
  await using world = await runningWorld();
  const { changes } = world.model;
  assert.ok(changes.indexOf('startContainer cara_shop_db') < changes.indexOf('startContainer cara_shop_web'), changes.join('\n'));
  assert.deepEqual([...world.model.volumes.keys()], ['cara_shop_data']);
  assert.deepEqual(world.model.byName('cara_shop_web')?.spec.network, { name: 'cara_shop', aliases: ['web'] });
  assert.equal([...world.model.networks.values()][0]?.subnets[0], '10.210.0.0/26');
  assert.equal(world.latest()?.observedGeneration, 1);
  assert.deepEqual(
    world.latest()?.services?.map(({ name, state, ready }) => [name, state, ready]),
    [
      ['db', 'Running', true],
      ['web', 'Running', true],
    ],
  );
});

test('run() does nothing before the first assign()', async () => {
  await using world = newWorld();
  world.reconciler.upsert({ project: shop() });
  world.reconciler.remove('other', 'u9');
  await world.clock.advance(600_000);
  assert.deepEqual(world.model.changes, []);
  world.assign([shop()], 'file');
  await world.untilPhase('Running');
});

test('run() adopts what runs: a new reconciler changes nothing, also under another assignment number', async () => {
  const world = await runningWorld();
  await world.crash();
  const before = world.model.changes.length;
  await using next = newWorld({ model: world.model, clock: world.clock });
  next.assign([shop({ assignment: 2 })], 'file');
  await next.untilPhase('Running');
  next.assign([shop({ assignment: 3 })]);
  await next.until(() => next.latest()?.assignment === 3);
  await next.clock.advance(600_000);
  assert.equal(next.latest()?.phase, 'Running');
  assert.deepEqual(world.model.changes.slice(before), []);
});

test('upsert() replaces only the service that changed, once its new image is there', async () => {
  await using world = await runningWorld();
  const [db, web] = [idOf(world, 'cara_shop_db'), idOf(world, 'cara_shop_web')];
  const before = world.model.changes.length;
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:2' }, DB] }) });
  await world.until(() => world.latest()?.observedGeneration === 2 && world.latest()?.phase === 'Running');
  assert.equal(idOf(world, 'cara_shop_db'), db);
  assert.notEqual(idOf(world, 'cara_shop_web'), web);
  assert.deepEqual(world.model.changes.slice(before), [
    'stopContainer cara_shop_web', // it has a host port
    'renameContainer cara_shop_web_previous',
    'createContainer cara_shop_web',
    'startContainer cara_shop_web',
    'removeContainer cara_shop_web_previous',
  ]);
});

test('upsert() with an image that cannot be pulled leaves the old container running and says why until it can be', async () => {
  await using world = await runningWorld();
  const web = idOf(world, 'cara_shop_web');
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ ...WEB, image: 'web:9' }, DB] }) });
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'ImagePullFailed');
  assert.match(world.latest()?.message ?? '', /^web: .*web:9/u);
  await world.clock.advance(600_000);
  assert.equal(idOf(world, 'cara_shop_web'), web);
  assert.equal(world.model.byName('cara_shop_web')?.state.isRunning, true);
  world.model.registry.add('web:9');
  await world.until(() => world.latest()?.phase === 'Running', 400_000);
  assert.equal(world.service('web')?.image, 'web:9');
});

test('assign() with an image that is there and cannot be pulled anew names the policy that takes it', async () => {
  await using world = newWorld();
  world.model.addImage('private');
  world.assign([shop({ services: [{ name: 'web', image: 'private' }] })]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'ImagePullFailed');
  assert.match(world.latest()?.message ?? '', /the node has an image of this name, which imagePullPolicy: IfNotPresent would take$/u);
});

test('upsert() without a service takes its container and volume away, but no Managed volume', async () => {
  const volumes = [{ name: 'data' }, { name: 'keep', type: 'Managed' as const }];
  await using world = await runningWorld(shop({ volumes }));
  world.reconciler.upsert({ project: shop({ generation: 2, services: [{ name: 'web', image: 'web:1' }], volumes: [] }) });
  await world.until(() => world.model.containers.size === 1 && world.model.volumes.size === 1);
  assert.deepEqual([...world.model.volumes.keys()], ['cara_shop_keep']);
});

for (const [what, change] of [
  ['stopped', (world: ReconcileWorld) => world.model.exit('cara_shop_web', 143)],
  ['removed', (world: ReconcileWorld) => world.model.destroy('cara_shop_web')],
] as const) {
  test(`run() puts right within a second a container that someone ${what}`, async () => {
    await using world = await runningWorld();
    const db = idOf(world, 'cara_shop_db');
    await world.clock.advance(60_000);
    const told = world.reports.length;
    change(world);
    await world.clock.advance(1000);
    const phases = world.reports.slice(told).map(({ report }) => report.phase);
    assert.deepEqual([phases[0], phases.at(-1)], ['Scheduled', 'Running']);
    assert.equal(idOf(world, 'cara_shop_db'), db);
  });
}

test('run() starts ever more slowly what someone stops again and again', async () => {
  await using world = await runningWorld();
  await world.clock.advance(60_000);
  for (let n = 0; n < 200; n += 1) {
    if (world.model.byName('cara_shop_web')?.state.isRunning === true) {
      world.model.exit('cara_shop_web', 143);
    }
    await world.clock.advance(500);
  }
  const starts = world.model.changes.filter((change) => change === 'startContainer cara_shop_web').length;
  assert.ok(starts >= 4 && starts <= 12, `started ${starts} times in 100 s`);
});

test('run() leaves a completed job alone, starts a failed one again under OnFailure, and gives up under Never', async () => {
  const job = (name: string, restartPolicy: Service['restartPolicy'] & string, image = 'job:1'): Service => ({
    name,
    image,
    restartPolicy,
  });
  await using world = newWorld();
  world.model.exitCodes.set('job:1', 0);
  world.model.exitCodes.set('db:1', 3);
  world.assign([makeProject({ services: [job('done', 'Never'), job('lost', 'Never', 'db:1')] })]);
  await world.untilPhase('Failed');
  await world.clock.advance(600_000);
  assert.equal(world.latest()?.reason, 'Exited');
  assert.deepEqual([world.service('done')?.state, world.service('done')?.ready], ['Completed', true]);
  assert.deepEqual([world.service('lost')?.state, world.service('lost')?.exitCode], ['Failed', 3]);
  assert.equal(world.model.changes.filter((change) => change.startsWith('startContainer')).length, 2);
  world.reconciler.upsert({ project: makeProject({ services: [job('done', 'Never'), job('lost', 'OnFailure', 'db:1')], generation: 2 }) });
  await world.clock.advance(60_000);
  assert.ok(world.model.changes.filter((change) => change === 'startContainer cara_shop_lost').length > 3);
  world.model.exitCodes.set('db:1', 0);
  await world.untilPhase('Running');
});

test('run() calls it a crash loop when the engine restarts a container over and over, until it stays up', async () => {
  await using world = await runningWorld();
  await world.clock.advance(60_000);
  world.model.exit('cara_shop_web', 1, { restarts: 1 });
  await world.clock.advance(1000);
  assert.equal(world.latest()?.phase, 'Running', 'one crash is no loop');
  world.model.exit('cara_shop_web', 1, { restarts: 3 });
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'CrashLoop');
  assert.equal(world.service('web')?.restarts, 4);
  await world.until(() => world.latest()?.phase === 'Running', 11_000);
});

test('run() reports an unhealthy service and its recovery', async () => {
  await using world = await runningWorld();
  const log = [{ startedAt: '', finishedAt: '', exitCode: 1, output: 'no connection\n' }];
  world.model.setState('cara_shop_db', { health: { status: 'unhealthy', failingStreak: 3, log } });
  const findFailed = () => world.reports.find(({ report }) => report.phase === 'Failed')?.report;
  await world.until(() => findFailed() !== undefined);
  assert.equal(findFailed()?.reason, 'Unhealthy');
  assert.match(findFailed()?.message ?? '', /db: Its health check fails, last with code 1: no connection/u);
  await world.untilPhase('Running'); // restarted, and well again
});

test('run() goes on trying a port that is in use, and succeeds when it is free', async () => {
  await using world = newWorld();
  const foreign = world.model.plantContainer('nginx', {
    image: 'nginx',
    labels: {},
    ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
  });
  foreign.state = { ...foreign.state, status: 'running', isRunning: true };
  world.assign([shop()]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'PortInUse');
  foreign.state = { ...foreign.state, status: 'exited', isRunning: false };
  await world.untilPhase('Running');
});

test('run() never touches a foreign container, network or volume that has the name it needs', async () => {
  await using world = newWorld();
  const { model } = world;
  model.plantContainer('cara_shop_web', { image: 'other', labels: { [LABEL.cluster]: 'other' } });
  model.plantVolume('cara_shop_data', {});
  const services = [{ ...WEB, dependsOn: [] }, DB];
  world.assign([shop({ services })]);
  await world.untilPhase('Failed');
  await world.clock.advance(600_000);
  assert.equal(world.service('web')?.state, 'Failed');
  assert.equal(world.latest()?.reason, 'NameTaken');
  assert.match(world.latest()?.message ?? '', /volume "cara_shop_data".*; web: .*container "cara_shop_web"/u);
  assert.equal(model.byName('cara_shop_web')?.spec.image, 'other');
  assert.deepEqual(model.volumes.get('cara_shop_data')?.labels, {});
  assert.ok(!model.changes.includes('removeContainer cara_shop_web'));
  model.destroy('cara_shop_web');
  model.volumes.delete('cara_shop_data');
  await world.untilPhase('Running');
});

test('run() tears a deleted Project down, dependents first, and keeps its Managed volume', async () => {
  const volumes = [{ name: 'data' }, { name: 'keep', type: 'Managed' as const }];
  await using world = await runningWorld(shop({ volumes }));
  const before = world.model.changes.length;
  world.reconciler.upsert({ project: shop({ volumes, isDeleted: true, assignment: 1 }) });
  await world.untilPhase('Terminated');
  assert.ok(
    world.reports.some(({ report }) => report.phase === 'Terminating' && report.services?.some(({ state }) => state === 'Stopping')),
  );
  const stops = world.model.changes.slice(before).filter((change) => change.startsWith('stop'));
  assert.deepEqual(stops, ['stopContainer cara_shop_web', 'stopContainer cara_shop_db']);
  assert.deepEqual([world.model.containers.size, world.model.networks.size, [...world.model.volumes.keys()]], [0, 0, ['cara_shop_keep']]);
  assert.equal(world.latest()?.assignment, 1);
});

test('remove() takes away what runs without a report, and leaves a later Project of the name alone', async () => {
  await using world = await runningWorld();
  world.reconciler.remove('shop', 'u0');
  await world.clock.advance(60_000);
  world.model.exit('cara_shop_web', 1);
  await world.clock.advance(1000);
  assert.equal(world.model.byName('cara_shop_web')?.state.isRunning, true, 'it must still be looked after');
  const reports = world.reports.length;
  world.reconciler.remove('shop', 'u1');
  await world.until(() => world.model.containers.size === 0 && world.model.networks.size === 0 && world.model.volumes.size === 0);
  assert.equal(world.reports.length, reports);
});

test('upsert() of a Project made anew under a name clears the earlier one away and inherits its Managed volume', async () => {
  const volumes = [{ name: 'data', type: 'Managed' as const }];
  await using world = await runningWorld(shop({ volumes }));
  const web = idOf(world, 'cara_shop_web');
  world.reconciler.upsert({ project: shop({ volumes, uid: 'u2' }) });
  await world.until(() => world.latest()?.uid === 'u2' && world.latest()?.phase === 'Running');
  assert.notEqual(idOf(world, 'cara_shop_web'), web);
  assert.equal(world.model.volumes.get('cara_shop_data')?.labels[LABEL.projectUid], 'u1');
  assert.ok(!world.model.changes.includes('removeVolume cara_shop_data'));
});

test('assign() without a Project leaves it running for three minutes, and only the word of the server ends it', async () => {
  const world = await runningWorld();
  await world.crash();
  await using next = newWorld({ model: world.model, clock: world.clock });
  next.assign([], 'file');
  await next.clock.advance(3_600_000);
  assert.equal(world.model.containers.size, 2);
  next.assign([], 'server');
  await next.clock.advance(179_000);
  assert.equal(world.model.containers.size, 2);
  await next.clock.advance(5000);
  assert.deepEqual([world.model.containers.size, world.model.networks.size, world.model.volumes.size], [0, 0, 0]);
});

test('assign() removes an orphan after the time that the reconciler is given', async () => {
  const world = await runningWorld();
  await world.crash();
  await using next = newWorld({ model: world.model, clock: world.clock, orphanAfterMs: 5000 });
  next.assign([]);
  await next.clock.advance(4000);
  assert.equal(next.model.containers.size, 2);
  await next.clock.advance(20_000);
  assert.equal(next.model.containers.size, 0);
});

test('assign() never removes what another cluster or nobody labelled, nor a Managed volume', async () => {
  await using world = newWorld();
  const { model } = world;
  const owner = { cluster: CLUSTER, project: 'old', projectUid: 'u7', assignment: 1 };
  model.plantContainer('cara_old_web', { image: 'x', labels: ownerLabels({ ...owner, cluster: 'c2' }) });
  model.plantContainer('plain', { image: 'x', labels: {} });
  model.plantNetwork('cara_old', '10.0.0.0/24', {});
  model.plantVolume('cara_old_data', volumeLabels({ ...owner, volume: 'data', volumeType: 'Managed' }));
  world.assign([]);
  await world.clock.advance(3_600_000);
  assert.deepEqual(model.changes, []);
});

test('run() keeps a stuck Project from delaying another', async () => {
  await using world = newWorld();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.model.held.set('pullImage', promise);
  world.assign([makeProject({ name: 'stuck', uid: 'u8', services: [{ name: 'a', image: 'far:1' }] }), shop()]);
  await world.untilPhase('Running');
  assert.equal(world.service('a', 'stuck')?.state, 'Pulling');
  world.model.held.clear();
  world.model.registry.add('far:1');
  resolve();
  await world.untilPhase('Running', 'stuck');
  assert.ok(world.reports.some(({ report }) => report.services?.some(({ message }) => message === '1/3 layers, 1 of 4 MiB')));
});

test('run() goes on when an engine answers an error to a start that it did', async () => {
  await using world = newWorld();
  world.model.fail({ on: 'startContainer', reason: 'EngineFault', isDoneAnyway: true });
  world.model.fail({ on: 'createContainer', reason: 'EngineFault', isDoneAnyway: true });
  world.model.fail({ on: 'createNetwork', reason: 'EngineFault', isDoneAnyway: true });
  world.assign([shop()]);
  await world.untilPhase('Running');
  assert.equal(world.model.changes.filter((change) => change === 'createContainer cara_shop_db').length, 1);
  assert.equal(world.model.changes.filter((change) => change === 'startContainer cara_shop_db').length, 1);
});

test('run() finds what changed without an event within 30 s', async () => {
  await using world = await runningWorld();
  await world.clock.advance(60_000);
  const web = world.model.byName('cara_shop_web');
  world.model.containers.delete(web?.id ?? ''); // no event
  await world.until(() => world.model.byName('cara_shop_web')?.state.isRunning === true, 31_000);
});

test('run() reports only what changed', async () => {
  await using world = await runningWorld();
  await world.until(() => world.latest()?.goodGeneration === 1);
  const count = world.reports.length;
  await world.clock.advance(600_000);
  assert.equal(world.reports.length, count);
});

test('run() says plainly that a Secret cannot be had and that a HostPath is not allowed', async () => {
  await using world = newWorld({ allowedHostPaths: ['/srv'] });
  const key = { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } };
  const volumes = [
    { name: 'in', type: 'HostPath' as const, path: '/srv/in' },
    { name: 'out', type: 'HostPath' as const, path: '/srv/../etc' },
  ];
  const mount = (name: string): NonNullable<Service['volumeMounts']> => [{ name, mountPath: '/m' }];
  world.assign([
    makeProject({
      volumes,
      services: [
        { name: 'secret', image: 'web:1', env: [key] },
        { name: 'inside', image: 'web:1', volumeMounts: mount('in') },
        { name: 'outside', image: 'web:1', volumeMounts: mount('out') },
      ],
    }),
  ]);
  await world.until(() => world.service('inside')?.state === 'Running');
  assert.match(world.latest()?.message ?? '', /secret: .*Secret "s".*; outside: .*\/srv\/\.\.\/etc/u);
  assert.equal(world.latest()?.reason, 'SecretNotFound');
  assert.deepEqual(world.model.byName('cara_shop_inside')?.spec.mounts, [
    { type: 'bind', source: '/srv/in', target: '/m', isReadOnly: false },
  ]);
  assert.equal(world.model.containers.size, 1);
});

test('upsert() that makes an Ephemeral volume Managed is refused rather than risk its data', async () => {
  await using world = await runningWorld();
  world.reconciler.upsert({
    project: shop({ generation: 2, volumes: [{ name: 'data', type: 'Managed' }], services: [WEB, { ...DB, image: 'db:2' }] }),
  });
  await world.until(() => world.latest()?.observedGeneration === 2 && world.latest()?.phase === 'Failed');
  assert.equal(world.latest()?.reason, 'VolumeTypeChanged');
  world.reconciler.upsert({ project: shop({ volumes: [{ name: 'data', type: 'Managed' }], isDeleted: true }) });
  await world.untilPhase('Terminated');
  assert.ok(world.model.volumes.has('cara_shop_data'), 'what was called Managed last must stay');
});

test('upsert() moves a host port from one service to another', async () => {
  const a: Service = { name: 'a', image: 'web:1', ports: [{ containerPort: 1, hostPort: 80 }] };
  const b: Service = { name: 'b', image: 'web:1' };
  await using world = await runningWorld(makeProject({ services: [a, b] }));
  const swapped = [
    { ...a, ports: [], dependsOn: [{ service: 'b' }] },
    { ...b, ports: [{ containerPort: 1, hostPort: 80 }] },
  ];
  world.reconciler.upsert({ project: makeProject({ generation: 2, services: swapped }) });
  await world.until(() => world.latest()?.observedGeneration === 2 && world.latest()?.phase === 'Running', 10_000);
});

test('run() makes a container anew whose network someone took away', async () => {
  await using world = await runningWorld();
  const network = [...world.model.networks.values()][0];
  world.model.exit('cara_shop_web', 1);
  world.model.exit('cara_shop_db', 1);
  world.model.networks.delete(network?.id ?? '');
  await world.until(
    () => [...world.model.containers.values()].every(({ state }) => state.isRunning) && world.latest()?.phase === 'Running',
  );
  assert.equal(world.model.containers.size, 2);
});

test('run() makes a container anew that someone took off its network, within 30 s', async () => {
  await using world = await runningWorld();
  await world.clock.advance(60_000);
  const [web, db] = [idOf(world, 'cara_shop_web'), idOf(world, 'cara_shop_db')];
  world.model.disconnect('cara_shop_web');
  await world.until(() => idOf(world, 'cara_shop_web') !== web && world.latest()?.phase === 'Running', 31_000);
  assert.equal(world.model.byName('cara_shop_web')?.state.isRunning, true);
  assert.equal(idOf(world, 'cara_shop_db'), db);
});

test('configHash() stands on each container as its label', async () => {
  await using world = await runningWorld();
  const spec = world.model.byName('cara_shop_web')?.spec;
  assert.ok(spec);
  assert.equal(spec.labels[LABEL.configHash], configHash(spec));
});

test('run() says what is wrong with an engine that cannot be asked about a Project, and goes on when it can', async () => {
  const model = new ModelEngine();
  ['web:1', 'db:1'].forEach((image) => model.addImage(image));
  let isBroken = true;
  const inspectImage: Engine['inspectImage'] = async (reference, signal) => {
    if (isBroken) {
      throw new EngineError('EngineFault', `Cannot inspect image "${reference}": layer store is corrupt`);
    }
    return await model.engine.inspectImage(reference, signal);
  };
  await using world = newWorld({ model, engine: { ...model.engine, inspectImage } });
  world.assign([shop()]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'EngineFault');
  assert.match(world.latest()?.message ?? '', /layer store is corrupt; it is tried again$/u);
  isBroken = false;
  await world.untilPhase('Running');
});
