/** How Secrets become containers, and what happens to these when Secrets come, change and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject, Service } from '../../api/project.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { FakeSecrets } from '../../../test/support/objects/secrets.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { deriveDesired } from './desired.ts';
import { resolveEnv } from './desired/resolve-inputs.ts';
import { SecretCache } from './secret-cache.ts';

const { signal } = new AbortController();
const ref = (key: string, name = 'shop') => ({ secretKeyRef: { name, key } });
const WEB: Service = {
  name: 'web',
  image: 'web:1',
  env: [
    { name: 'TOKEN', valueFrom: ref('token') },
    { name: 'A', value: '1' },
  ],
};
const DB: Service = { name: 'db', image: 'db:1', files: [{ mountPath: '/run/password', ...ref('password') }] };
const ALL: Service = { name: 'all', image: 'web:1', envFrom: [{ secretRef: { name: 'shop' }, prefix: 'SHOP_' }] };

interface Site extends AsyncDisposable {
  readonly world: ReconcileWorld;
  readonly secrets: FakeSecrets;
  assign(services: readonly Service[], options?: { readonly generation?: number }): void;
}

function startSite(options: { readonly model?: ModelEngine; readonly clock?: VirtualClock } = {}): Site {
  const model = options.model ?? new ModelEngine();
  model.addImage('web:1');
  model.addImage('db:1');
  const secrets = new FakeSecrets();
  secrets.set('shop', { token: 't1', password: 'p1' });
  const world = new ReconcileWorld({ ...options, model, secrets });
  let latest: ProjectObject | undefined;
  return {
    world,
    secrets,
    assign: (services, { generation = 1 } = {}) => {
      const project = makeProject({ services, generation });
      const status = { ...project.status, ...(latest?.status.secrets && { secrets: latest.status.secrets }) };
      latest = secrets.fill({ ...project, status });
      world.assign([latest]);
    },
    [Symbol.asyncDispose]: async () => await world.crash(),
  };
}

function idsOf({ model }: ReconcileWorld): Readonly<Record<string, string>> {
  return Object.fromEntries([...model.containers.values()].map(({ name, id }) => [name.replace('cara_shop_', ''), id]));
}

function envOf({ model }: ReconcileWorld, service: string): unknown {
  return model.byName(`cara_shop_${service}`)?.spec.env;
}

test('a container gets values of Secrets as variables and files, env before envFrom', async () => {
  await using site = startSite();
  const both: Service = { ...ALL, name: 'both', env: [{ name: 'SHOP_token', value: 'mine' }] };
  site.assign([WEB, DB, ALL, both]);
  await site.world.untilPhase('Running');
  assert.deepEqual(envOf(site.world, 'web'), { TOKEN: 't1', A: '1' });
  assert.deepEqual(envOf(site.world, 'all'), { SHOP_token: 't1', SHOP_password: 'p1' });
  assert.deepEqual(envOf(site.world, 'both'), { SHOP_token: 'mine', SHOP_password: 'p1' });
  assert.deepEqual([...(site.world.model.byName('cara_shop_db')?.files ?? [])], [['/run/password', '444 p1']]);
});

test('no report, label or image of what is wanted holds a value', async () => {
  await using site = startSite();
  site.secrets.set('shop', { token: 'hunter2', password: 'hunter2' });
  const project = site.secrets.fill(makeProject({ services: [WEB, DB, ALL] }));
  // the fake's fingerprints show what they stand for; the server's do not
  const [web] = deriveDesired(
    { ...project, status: JSON.parse(JSON.stringify(project.status).replaceAll('hunter2', 'f')) as ProjectObject['status'] },
    { clusterId: 'c1', allowedHostPaths: [] },
  ).services;
  assert.doesNotMatch(JSON.stringify(web), /hunter2/u);
  site.assign([WEB, DB, ALL]);
  await site.world.untilPhase('Running');
  assert.doesNotMatch(JSON.stringify(site.world.reports), /hunter2/u);
  assert.doesNotMatch(JSON.stringify([...site.world.model.containers.values()].map(({ spec }) => spec.labels)), /hunter2/u);
});

test('a changed value replaces the services that use it and no other', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  site.assign([WEB, DB, ALL]);
  await world.untilPhase('Running');
  const before = idsOf(world);
  secrets.set('shop', { token: 't2', password: 'p1' });
  site.assign([WEB, DB, ALL]);
  await world.until(() => (envOf(world, 'all') as Record<string, string> | undefined)?.['SHOP_token'] === 't2');
  await world.until(() => world.latest()?.phase === 'Running' && idsOf(world)['web'] !== before['web']);
  assert.deepEqual(envOf(world, 'web'), { TOKEN: 't2', A: '1' });
  assert.equal(idsOf(world)['db'], before['db']);
  assert.notEqual(idsOf(world)['all'], before['all']);
});

test('a deleted Secret touches nothing that runs; a container that has to be made waits for it, and goes on at its return', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  site.assign([WEB, DB, ALL]);
  await world.untilPhase('Running');
  const before = idsOf(world);
  const changes = world.model.changes.length;
  secrets.delete('shop');
  site.assign([WEB, DB, ALL]);
  await world.clock.advance(60_000);
  assert.equal(world.model.changes.length, changes);
  assert.equal(world.latest()?.phase, 'Running');
  world.model.destroy('cara_shop_web');
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'SecretNotFound');
  assert.match(world.latest()?.message ?? '', /Cannot start service "web" as Secret "shop" does not exist: create it/u);
  assert.deepEqual([idsOf(world)['db'], idsOf(world)['all']], [before['db'], before['all']]);
  secrets.set('shop', { token: 't1', password: 'p1' });
  site.assign([WEB, DB, ALL]);
  await world.until(() => world.latest()?.phase === 'Running', 1000);
  assert.deepEqual([idsOf(world)['db'], idsOf(world)['all']], [before['db'], before['all']]);
});

test('a Project whose Secret never was names it, and its key, and starts when it comes', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  site.assign([{ ...WEB, env: [{ name: 'X', valueFrom: ref('late') }] }]);
  await world.untilPhase('Failed');
  assert.match(world.latest()?.message ?? '', /as Secret "shop" has no key "late": add it/u);
  assert.deepEqual(secrets.reads, []);
  secrets.set('shop', { late: 'x' });
  site.assign([{ ...WEB, env: [{ name: 'X', valueFrom: ref('late') }] }]);
  await world.until(() => world.latest()?.phase === 'Running', 1000);
  assert.deepEqual(envOf(world, 'web'), { X: 'x' });
});

test('a new agent without a server adopts what runs, though it has no value', async () => {
  const model = new ModelEngine();
  const clock = new VirtualClock();
  const first = startSite({ model, clock });
  first.assign([WEB, DB, ALL]);
  await first.world.untilPhase('Running');
  await first.world.crash();
  const changes = model.changes.length;
  await using second = startSite({ model, clock });
  second.secrets.failure = new ApiError('Unavailable', 'Cannot reach the server');
  second.world.assign([second.secrets.fill(makeProject({ services: [WEB, DB, ALL] }))], 'file');
  await second.world.untilPhase('Running');
  await clock.advance(60_000);
  assert.equal(model.changes.length, changes);
  assert.deepEqual(second.secrets.reads, []);
});

test('values at hand serve while the server is away; without them the old container runs until they can be read', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  site.assign([WEB]);
  await world.untilPhase('Running');
  secrets.failure = new ApiError('Unavailable', 'Cannot reach the server');
  world.model.destroy('cara_shop_web');
  await world.until(() => world.model.byName('cara_shop_web')?.state.isRunning === true);
  const before = idsOf(world)['web'];
  secrets.set('shop', { token: 't2', password: 'p1' });
  site.assign([WEB]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'SecretUnavailable');
  await world.clock.advance(10_000);
  assert.equal(idsOf(world)['web'], before);
  assert.equal(world.model.byName('cara_shop_web')?.state.isRunning, true);
  secrets.failure = undefined;
  await world.untilPhase('Running');
  assert.deepEqual(envOf(world, 'web'), { TOKEN: 't2', A: '1' });
});

test('a value that is newer than what the server told makes no container, until it tells', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  const told = secrets.fill(makeProject({ services: [WEB] }));
  secrets.set('shop', { token: 't2', password: 'p1' });
  world.assign([told]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'SecretUnavailable');
  assert.equal(world.model.containers.size, 0);
  site.assign([WEB]);
  await world.untilPhase('Running');
  assert.deepEqual(envOf(world, 'web'), { TOKEN: 't2', A: '1' });
  assert.equal(world.model.changes.filter((change) => change.startsWith('createContainer')).length, 1);
});

test('what can be no variable is refused before the old container is given up', async () => {
  await using site = startSite();
  const { world, secrets } = site;
  secrets.set('shop', { token: 't1' });
  site.assign([WEB, ALL]);
  await world.untilPhase('Running');
  const before = idsOf(world);
  for (const values of [{ token: Buffer.from([0xff, 0xfe]) }, { token: 'a\0b' }]) {
    secrets.set('shop', values);
    site.assign([WEB, ALL]);
    await world.untilPhase('Failed');
    assert.equal(world.latest()?.reason, 'SecretInvalid');
    assert.match(world.latest()?.message ?? '', /key "token" of Secret "shop" into a variable as it is no text/u);
    secrets.set('shop', { token: 't1' });
    site.assign([WEB, ALL]);
    await world.untilPhase('Running');
  }
  secrets.set('shop', { token: 't1', '1st': 'x' });
  const unprefixed: Service = { ...ALL, envFrom: [{ secretRef: { name: 'shop' } }] };
  site.assign([WEB, unprefixed], { generation: 2 });
  await world.untilPhase('Failed');
  assert.match(world.latest()?.message ?? '', /its key "1st" makes none: rename the key, give envFrom a prefix/u);
  assert.deepEqual(idsOf(world), before);
});

test('a container that was made but never started gets its files before its first start, also from the next agent', async () => {
  const model = new ModelEngine();
  const clock = new VirtualClock();
  const first = startSite({ model, clock });
  model.fail({ on: 'writeFiles', reason: 'EngineFault' });
  model.onChange = (change) => void (change === 'createContainer' && first.world.crash());
  first.assign([DB]);
  await clock.advanceUntil(() => model.containers.size === 1, 10_000);
  await first.world.crash();
  model.onChange = undefined;
  await using second = startSite({ model, clock });
  second.assign([DB]);
  await second.world.untilPhase('Failed');
  assert.equal(model.byName('cara_shop_db')?.state.isRunning, false, 'not without its file');
  await second.world.untilPhase('Running');
  assert.deepEqual([...(model.byName('cara_shop_db')?.files ?? [])], [['/run/password', '444 p1']]);
  assert.equal(model.changes.filter((change) => change.startsWith('createContainer')).length, 1);
});

test('SecretCache forgets the values with the last Project that uses them, and those of a Secret that is gone', async () => {
  const secrets = new FakeSecrets();
  secrets.set('a', { k: '1' });
  secrets.set('b', { k: '2' });
  const cache = new SecretCache(secrets);
  cache.setUses('shop', ['a', 'b']);
  cache.setUses('blog', ['b']);
  await cache.fetch('a', signal);
  await cache.fetch('b', signal);
  cache.setUses('shop', ['b']);
  assert.deepEqual([...cache.values.keys()], ['b']);
  cache.setUses('shop', []);
  assert.deepEqual([...cache.values.keys()], ['b']);
  secrets.failure = new ApiError('Unavailable', 'away');
  await assert.rejects(cache.fetch('b', signal), { reason: 'Unavailable' });
  assert.deepEqual([...cache.values.keys()], ['b']);
  secrets.failure = undefined;
  secrets.delete('b');
  await assert.rejects(cache.fetch('b', signal), { reason: 'NotFound' });
  assert.deepEqual([...cache.values.keys()], []);
});

test('resolveEnv() keeps text byte for byte, and refuses values that are not at hand', async () => {
  const cache = new SecretCache(new FakeSecrets());
  const inputs = { envFrom: [], env: { A: { secret: 's', key: 'k', fingerprint: 'f' } }, files: [] };
  const values = (text: string) =>
    new Map([['s', { name: 's', fingerprint: 'w', values: new Map([['k', { fingerprint: 'f', bytes: Buffer.from(text) }]]) }]]);
  for (const text of ['', 'a\nb\r\n', '\u{feff}é', '  x=y  ']) {
    assert.deepEqual(resolveEnv(inputs, values(text)), { A: text });
  }
  assert.throws(() => resolveEnv(inputs, cache.values), { reason: 'SecretUnavailable' });
});

test('reports say of which values of Secrets they speak, from the first on', async () => {
  await using used = startSite();
  used.world.assign([used.secrets.fill(makeProject({ services: [WEB] }))]);
  await used.world.untilPhase('Running');
  assert.equal(used.world.latest()?.secretsRevision, 0);
  const changed = used.secrets.fill(makeProject({ services: [WEB] }));
  used.world.reconciler.upsert({ project: { ...changed, status: { ...changed.status, secretsRevision: 1 } } });
  await used.world.until(() => used.world.latest()?.secretsRevision === 1);
  assert.equal(used.world.latest()?.phase, 'Running', 'also where nothing changed by it');
});
