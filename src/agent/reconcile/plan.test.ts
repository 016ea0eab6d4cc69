import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ProjectObject, Service } from '../../api/project.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { FakeSecrets } from '../../../test/support/objects/secrets.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { systemRandom } from '../../base/random.ts';
import { LABEL } from '../docker/names.ts';
import { trackContainer, type ContainerTrack } from './container-track.ts';
import { deriveDesired } from './desired.ts';
import { createImagePuller } from '../images/image-puller.ts';
import { Turn } from '../../base/turn.ts';
import { createEffects } from './effects.ts';
import { observeProject } from './observe.ts';
import { planProject, type Plan, type Target } from './plan.ts';
import { SecretCache } from './secret-cache.ts';
import { executeStep } from './steps.ts';

const CLUSTER = 'c1';
const CONTEXT = { clusterId: CLUSTER, allowedHostPaths: [] };
const { signal } = new AbortController();
const SECRETS = new FakeSecrets();
SECRETS.set('keys', { a: 'open', b: 'sesame' });

/** Plans and takes steps by turns until there are none; fails when that does not come. */
class Driver {
  readonly model: ModelEngine;
  readonly #secrets = new SecretCache(SECRETS);
  #tracks: ReadonlyMap<string, ContainerTrack> = new Map();
  #nowMs = 0;

  constructor(model: ModelEngine) {
    this.model = model;
  }

  async plan(target: Target): Promise<Plan> {
    this.#nowMs += 100;
    const imagesByContainer = new Map(
      (target.desired?.services ?? []).map(({ containerName, container, configHash }) => [
        containerName,
        { image: container.image, configHash },
      ]),
    );
    const request = { cluster: CLUSTER, project: 'shop', imagesByContainer, knownImages: new Map() };
    const observed = await observeProject(this.model.engine, request, signal);
    this.#tracks = new Map(
      observed.containers.map((container) => [
        container.id,
        trackContainer(this.#tracks.get(container.id), container, { nowMs: this.#nowMs }),
      ]),
    );
    const input = { target, observed, tracks: this.#tracks, secrets: this.#secrets.values, backoff: new Map(), busy: new Set<string>() };
    return planProject({ ...input, isAuthoritative: true, nowMs: this.#nowMs });
  }

  /** @param limit steps to take at most */
  async drive(target: Target, limit = Infinity): Promise<Plan> {
    const options = {
      engine: this.model.engine,
      clock: new VirtualClock(),
      networkPools: ['10.210.0.0/16'],
      readRoutes: async () => await Promise.resolve([]),
    };
    const images = createImagePuller({ engine: this.model.engine, clock: new VirtualClock(), random: systemRandom });
    const effects = createEffects({ ...options, images, networkTurn: new Turn(), secrets: this.#secrets }, () => undefined);
    let taken = 0;
    for (let round = 0; round < 120; round += 1) {
      const plan = await this.plan(target);
      if (plan.steps.length === 0 && plan.report?.phase === 'Scheduled' && Number.isFinite(plan.wakeAtMs)) {
        this.#nowMs = plan.wakeAtMs; // a new version is being watched
        continue;
      }
      if (plan.steps.length === 0 || taken >= limit) {
        return plan;
      }
      for (const step of plan.steps.slice(0, limit - taken)) {
        taken += 1;
        await executeStep(effects, step, signal);
      }
    }
    throw new Error('Cannot go on as 120 rounds of steps did not converge');
  }
}

function run(project: ProjectObject): Target {
  return { kind: 'run', desired: deriveDesired(project, CONTEXT) };
}

const NAMES = ['a', 'b', 'c', 'd'];
const IMAGES = ['one:1', 'two:1', 'three:1'];

function newModel(): ModelEngine {
  const model = new ModelEngine();
  IMAGES.slice(0, 2).forEach((image) => model.addImage(image));
  model.registry.add('three:1');
  return model;
}

/** A spec whose services depend only on earlier ones, and take host ports of their own. */
const anySpec = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...NAMES),
      image: fc.constantFrom(...IMAGES),
      port: fc.option(fc.integer({ min: 80, max: 83 }), { nil: undefined }),
      mounts: fc.subarray(['x', 'y']),
      dependsOn: fc.subarray(NAMES),
      isChecked: fc.boolean(),
      inputs: fc.constantFrom<Partial<Service>>(
        {},
        { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'a' } } }] },
        { envFrom: [{ secretRef: { name: 'keys' } }], files: [{ mountPath: '/etc/b', secretKeyRef: { name: 'keys', key: 'b' } }] },
        { files: [{ mountPath: '/etc/c', content: 'plain' }] },
      ),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
  )
  .map((rows) =>
    rows.map(({ name, image, port, mounts, dependsOn, isChecked, inputs }, index): Service => {
      const isPortFree = !rows.slice(0, index).some((row) => row.port === port);
      const before = rows.slice(0, index).filter((row) => dependsOn.includes(row.name));
      return {
        name,
        image,
        ...inputs,
        ...(port !== undefined && isPortFree && { ports: [{ containerPort: 80, hostPort: port }] }),
        volumeMounts: mounts.map((volume) => ({ name: volume, mountPath: `/${volume}` })),
        dependsOn: before.map((row) => ({ service: row.name, condition: row.isChecked ? 'Healthy' : 'Started' })),
        ...(isChecked && { healthCheck: { test: ['CMD', 'true'] } }),
      };
    }),
  );

const anyHarm = fc.record({
  kind: fc.constantFrom('stop', 'destroy', 'network', 'double'),
  name: fc.constantFrom(...NAMES),
});

function toProject(services: readonly Service[], generation: number): ProjectObject {
  return SECRETS.fill(makeProject({ services, generation, volumes: [{ name: 'x' }, { name: 'y', type: 'Managed' }] }));
}

function harm(model: ModelEngine, { kind, name }: { kind: string; name: string }): void {
  const container = model.byName(`cara_shop_${name}`);
  if (kind === 'stop' && container?.state.isRunning === true) {
    model.exit(container.name, 143);
  } else if (kind === 'destroy' && container !== undefined) {
    model.destroy(container.name);
  } else if (kind === 'network' && ![...model.containers.values()].some(({ state }) => state.isRunning)) {
    [...model.networks.values()].filter(({ labels }) => labels[LABEL.cluster] === CLUSTER).forEach(({ id }) => model.networks.delete(id));
  } else if (kind === 'double') {
    // As an engine does that ends late what an agent asked of it before it was killed.
    const { name: networkName, labels } = deriveDesired(toProject([], 1), CONTEXT).network;
    model.plantNetwork(networkName, '10.210.250.0/26', labels);
  }
}

const FOREIGN = { image: 'one:1', labels: { [LABEL.cluster]: 'other', [LABEL.project]: 'shop', [LABEL.service]: 'a' } };

test('planProject() converges from any half-done, harmed state to any spec, then has no step left, and touches nothing foreign', async () => {
  await fc.assert(
    fc.asyncProperty(anySpec, anySpec, fc.nat(20), fc.array(anyHarm, { maxLength: 4 }), async (first, second, stepsTaken, harms) => {
      const model = newModel();
      const foreign = [model.plantContainer('cara_shop_zzz', FOREIGN), model.plantContainer('plain', { image: 'one:1', labels: {} })];
      model.plantVolume('cara_shop_q', {});
      const driver = new Driver(model);
      await driver.drive(run(toProject(first, 1)), stepsTaken);
      harms.forEach((each) => harm(model, each));
      const target = run(toProject(second, 2));
      const last = await driver.drive(target);
      assert.equal(last.report?.phase, 'Running', JSON.stringify(last.report));
      const ours = [...model.containers.values()].filter(({ spec }) => spec.labels[LABEL.cluster] === CLUSTER);
      assert.deepEqual(
        ours.map(({ name, state, spec }) => `${name} ${state.status} ${spec.labels[LABEL.configHash]}`).toSorted(),
        (target.desired?.services ?? []).map(({ containerName, configHash }) => `${containerName} running ${configHash}`).toSorted(),
      );
      for (const { spec, files } of ours) {
        const { env, envFrom, files: wanted = [] } = second.find(({ name }) => name === spec.labels[LABEL.service]) ?? assert.fail();
        assert.deepEqual(spec.env ?? {}, { ...(env && { A: 'open' }), ...(envFrom && { a: 'open', b: 'sesame' }) });
        assert.deepEqual(
          [...files],
          wanted.map(({ mountPath, content }) => [mountPath, `444 ${content ?? 'sesame'}`]),
        );
      }
      assert.equal(model.networks.size, 1);
      const changes = model.changes.length;
      assert.deepEqual((await driver.drive(target)).steps, []);
      assert.equal(model.changes.length, changes);
      foreign.forEach((container) => assert.equal(model.containers.get(container.id), container));
      assert.ok(model.volumes.has('cara_shop_q'));
      assert.ok(!model.changes.some((change) => change === 'removeVolume cara_shop_y'));
    }),
    { numRuns: 300 },
  );
});

test('planProject() replaces no container whose config hash stays, whatever else the spec changes', async () => {
  await fc.assert(
    fc.asyncProperty(anySpec, anySpec, async (first, second) => {
      const model = newModel();
      const driver = new Driver(model);
      await driver.drive(run(toProject(first, 1)));
      const before = new Map([...model.containers.values()].map(({ id, spec }) => [id, spec.labels]));
      const target = run(toProject(second, 2));
      await driver.drive(target);
      const wanted = new Set((target.desired?.services ?? []).map(({ name, configHash }) => `${name} ${configHash}`));
      for (const [id, labels] of before) {
        assert.equal(model.containers.has(id), wanted.has(`${labels[LABEL.service]} ${labels[LABEL.configHash]}`));
      }
    }),
    { numRuns: 150 },
  );
});

test('planProject() takes everything away but Managed volumes from any state, and only then says Terminated', async () => {
  await fc.assert(
    fc.asyncProperty(anySpec, fc.nat(20), fc.array(anyHarm, { maxLength: 3 }), async (spec, stepsTaken, harms) => {
      const model = newModel();
      const foreign = model.plantContainer('cara_shop_zzz', FOREIGN);
      const driver = new Driver(model);
      const project = toProject(spec, 1);
      await driver.drive(run(project), stepsTaken);
      harms.forEach((each) => harm(model, each));
      const desired = deriveDesired(project, CONTEXT);
      const last = await driver.drive({ kind: 'terminate', desired });
      assert.deepEqual([last.isDone, last.report?.phase], [true, 'Terminated']);
      assert.deepEqual([...model.containers.keys()], [foreign.id]);
      assert.equal(model.networks.size, 0);
      assert.ok([...model.volumes.keys()].every((name) => name === 'cara_shop_y'));
      assert.ok(!model.changes.some((change) => change === 'removeVolume cara_shop_y'));
    }),
    { numRuns: 150 },
  );
});

test('planProject() never asks for two steps on the same thing, nor for one that is busy or backs off', async () => {
  const model = newModel();
  const driver = new Driver(model);
  const first = await driver.plan(run(toProject([{ name: 'a', image: 'three:1' }], 1)));
  assert.deepEqual(first.steps.map(({ kind }) => kind).toSorted(), ['createNetwork', 'createVolume', 'createVolume', 'pullImage']);
  const target = run(toProject([{ name: 'a', image: 'three:1' }], 1));
  const observed = { containers: [], networks: [], volumes: [], images: new Map(), fingerprint: '' };
  const failure = { reason: 'ImagePullFailed' as const, message: 'no' };
  const plan = planProject({
    target,
    observed,
    tracks: new Map(),
    secrets: new Map(),
    backoff: new Map([['pullImage three:1', { notBeforeMs: 500, failure, failures: 1, refusals: 1, pauseMs: 0 }]]),
    busy: new Set(['network cara_shop']),
    isAuthoritative: true,
    nowMs: 100,
  });
  assert.deepEqual(
    plan.steps.map(({ kind }) => kind),
    ['createVolume', 'createVolume'],
  );
  assert.equal(plan.wakeAtMs, 500);
  assert.deepEqual([plan.report?.phase, plan.report?.reason], ['Failed', 'ImagePullFailed']);
});

test('planProject() asks once for an image that two services need, and never to remove a volume labelled Managed', async () => {
  const model = newModel();
  const services = ['a', 'b'].map((name) => ({ name, image: 'three:1' }));
  const plan = await new Driver(model).plan(run(makeProject({ services })));
  assert.deepEqual(
    plan.steps.map(({ kind }) => kind),
    ['createNetwork', 'pullImage'],
  );
  const driver = new Driver(model);
  await driver.drive(run(toProject([{ name: 'a', image: 'one:1' }], 1)));
  const desired = deriveDesired(makeProject({ services: [{ name: 'a', image: 'one:1' }], volumes: [{ name: 'y' }] }), CONTEXT);
  for (const kind of ['run', 'terminate'] as const) {
    const removed: string[] = [];
    for (let plans = 0; plans < 8; plans += 1) {
      const next = await driver.plan({ kind, desired });
      removed.push(...next.steps.filter((step) => step.kind === 'removeVolume').map(({ name }) => name));
      await driver.drive({ kind, desired }, 1);
    }
    assert.ok(!removed.includes('cara_shop_y'));
  }
});

test('planProject() clears an earlier Project of the name away only on the word of the server', async () => {
  const model = newModel();
  await new Driver(model).drive(run(makeProject({ uid: 'u0', services: [{ name: 'a', image: 'one:1' }] })));
  const desired = deriveDesired(makeProject({ uid: 'u1', services: [{ name: 'a', image: 'one:1' }] }), CONTEXT);
  const request = { cluster: CLUSTER, project: 'shop', imagesByContainer: new Map(), knownImages: new Map() };
  const observed = await observeProject(model.engine, request, signal);
  const plan = (isAuthoritative: boolean): Plan =>
    planProject({
      target: { kind: 'run', desired },
      observed,
      tracks: new Map(),
      secrets: new Map(),
      backoff: new Map(),
      busy: new Set(),
      nowMs: 0,
      isAuthoritative,
    });
  assert.deepEqual(plan(false).steps, []);
  assert.match(plan(false).report?.services?.[0]?.message ?? '', /Waiting for the server/u);
  assert.deepEqual(
    plan(true).steps.map(({ kind }) => kind),
    ['stopContainer'],
  );
});

test('planProject() names what a service waits for, and what makes its wait hopeless', async () => {
  const waiting = async (services: readonly Service[], exitCode?: number): Promise<Plan> => {
    const model = newModel();
    if (exitCode !== undefined) {
      model.exitCodes.set('two:1', exitCode);
    }
    return await new Driver(model).drive(run(toProject(services, 1)));
  };
  const web = (condition: 'Started' | 'Healthy' | 'Completed'): Service => ({
    name: 'web',
    image: 'one:1',
    dependsOn: [{ service: 'job', condition }],
  });
  const job = (restartPolicy: 'Always' | 'OnFailure' | 'Never'): Service => ({ name: 'job', image: 'two:1', restartPolicy });
  const cases = [
    [
      [web('Healthy'), job('OnFailure')],
      undefined,
      /Cannot start service "web" as it waits for "job" to be healthy, which has no health check/u,
    ],
    [[web('Completed'), job('Always')], undefined, /always restarted/u],
    [[web('Completed'), job('Never')], 4, /depends on "job", which ended with code 4/u],
    [[web('Healthy'), job('Never')], 0, /which has completed/u],
  ] as const;
  for (const [services, exitCode, expected] of cases) {
    const plan = await waiting(services, exitCode);
    assert.equal(plan.report?.phase, 'Failed');
    assert.match(plan.report?.services?.find(({ name }) => name === 'web')?.message ?? '', expected);
  }
  const plan = await waiting([web('Completed'), job('OnFailure')]);
  assert.equal(plan.report?.phase, 'Scheduled');
  assert.deepEqual(
    plan.report?.services?.map(({ name, state, message }) => [name, state, message]),
    [
      ['job', 'Running', undefined],
      ['web', 'Waiting', 'Waiting for job to complete'],
    ],
  );
  assert.equal((await waiting([web('Completed'), job('OnFailure')], 0)).report?.phase, 'Running');
});
