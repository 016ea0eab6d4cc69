import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service } from '../../api/project.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { StepError } from './failure.ts';
import type { FenceGate, FenceState } from './fence-gate.ts';

const DB: Service = { name: 'db', image: 'db:1', stopGracePeriod: '5s' };
const WEB: Service = { name: 'web', image: 'web:1', dependsOn: [{ service: 'db' }] };
const JOB: Service = { name: 'job', image: 'job:1', restartPolicy: 'OnFailure' };

/** A gate that the test opens and closes. */
class Gate implements FenceGate {
  state: FenceState = 'open';
  readonly noted: string[][] = [];
  recalledIds: ReadonlySet<string> = new Set();
  readonly #listeners = new Set<(project: string) => void>();

  stateOf(): FenceState {
    return this.state;
  }

  note(_project: ProjectObject, ids: readonly string[]): void {
    this.noted.push([...ids]);
  }

  admit(): Promise<void> {
    return this.state === 'open' ? Promise.resolve() : Promise.reject(new StepError('Fenced', 'Cannot start it'));
  }

  recalled(): ReadonlySet<string> {
    return this.recalledIds;
  }

  subscribe(listener: (project: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(state: FenceState): void {
    this.state = state;
    this.#listeners.forEach((listener) => listener('shop'));
  }
}

function shop(services: readonly Service[], generation = 1): ProjectObject {
  const project = makeProject({ services, generation });
  return { ...project, spec: { ...project.spec, onNodeLost: { after: '1m', fence: true } } };
}

async function runningWorld(gate: Gate, services: readonly Service[]): Promise<ReconcileWorld> {
  const world = new ReconcileWorld({ fence: gate });
  ['db:1', 'web:1', 'web:2', 'job:1'].forEach((image) => world.model.addImage(image));
  world.assign([shop(services)]);
  await world.untilPhase('Running');
  return world;
}

const isRunning = (world: ReconcileWorld, name: string): boolean => world.model.byName(name)?.state.isRunning === true;

test('a closed fence stops all containers in order, keeps them, says so, and an open one starts the same again', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [DB, WEB]);
  const [ids] = [[...world.model.containers.keys()]];
  world.model.changes.length = 0;
  gate.set('closed');
  await world.until(() => world.latest()?.reason === 'Fenced' && !isRunning(world, 'cara_shop_db'), 30_000);
  assert.deepEqual(world.model.changes, ['stopContainer cara_shop_web', 'stopContainer cara_shop_db']);
  assert.match(world.latest()?.message ?? '', /may run on another: waiting for the server/u);
  assert.ok(world.latest()?.services?.every(({ ready }) => !ready));
  await world.clock.advance(600_000);
  assert.equal(world.model.changes.length, 2, 'nothing is started, nothing removed');
  gate.set('open');
  await world.untilPhase('Running');
  assert.deepEqual([...world.model.containers.keys()], ids);
});

test('a fence that closes between plan and start starts nothing', async () => {
  const gate = new Gate();
  await using world = new ReconcileWorld({ fence: gate });
  world.model.addImage('web:1');
  world.model.onChange = (change) => {
    if (change === 'createContainer') {
      gate.state = 'closed'; // and nobody tells the loop
    }
  };
  world.assign([shop([{ name: 'web', image: 'web:1' }])]);
  await world.clock.advance(120_000);
  assert.equal(world.model.byName('cara_shop_web')?.state.isRunning, false);
});

test('a held fence lets run what runs, and starts and replaces nothing', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [DB, WEB]);
  gate.set('held');
  world.model.changes.length = 0;
  world.reconciler.upsert({ project: shop([DB, { ...WEB, image: 'web:2' }], 2) });
  world.model.exit('cara_shop_db', 1);
  await world.clock.advance(120_000);
  assert.deepEqual(world.model.changes, []);
  assert.equal(isRunning(world, 'cara_shop_web'), true);
  gate.set('open');
  await world.until(() => world.latest()?.phase === 'Running' && world.latest()?.observedGeneration === 2);
  assert.equal(world.model.byName('cara_shop_web')?.spec.image, 'web:2');
});

test('a job that the fence interrupts has not completed, though it ends with 0: it runs again', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [JOB]);
  gate.set('closed');
  await world.until(() => world.model.byName('cara_shop_job') === undefined, 30_000);
  gate.set('open');
  await world.until(() => isRunning(world, 'cara_shop_job'));
  assert.notEqual(world.service('job')?.state, 'Completed');
});

test('containers of a fenced Project are not the engine`s to restart, also when they crash: the agent does', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [DB, WEB]);
  assert.deepEqual(
    ['cara_shop_db', 'cara_shop_web'].map((name) => world.model.byName(name)?.spec.restart?.name),
    ['no', 'no'],
  );
  world.model.exit('cara_shop_db', 1);
  await world.until(() => isRunning(world, 'cara_shop_db'));
  assert.ok(gate.noted.at(-1)?.length === 2, 'the gate knows of both');
});

test('a service of a fenced Project that keeps crashing is called a crash loop, until it stays up', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [DB, WEB]);
  for (let crash = 1; crash <= 4; crash += 1) {
    await world.until(() => isRunning(world, 'cara_shop_db'));
    await world.clock.advance(500);
    world.model.exit('cara_shop_db', 7);
    await world.clock.settle();
  }
  await world.until(() => world.latest()?.reason === 'CrashLoop');
  assert.equal(world.latest()?.phase, 'Failed');
  assert.match(world.service('db')?.message ?? '', /ended with code 7; the agent has restarted it \d times in a row/u);
  await world.untilPhase('Running');
});

test('a recalled Project loses the containers that were started here on trial, and keeps what was found and all volumes', async () => {
  const gate = new Gate();
  await using world = await runningWorld(gate, [DB, WEB]);
  gate.recalledIds = new Set([world.model.byName('cara_shop_web')?.id ?? assert.fail()]);
  world.model.changes.length = 0;
  gate.set('recalled');
  await world.until(() => world.model.byName('cara_shop_web') === undefined, 30_000);
  await world.clock.advance(600_000);
  assert.deepEqual(world.model.changes, ['stopContainer cara_shop_web', 'removeContainer cara_shop_web']);
  assert.ok(isRunning(world, 'cara_shop_db'));
});
