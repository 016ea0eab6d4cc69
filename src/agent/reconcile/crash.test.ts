import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service, StatusReport } from '../../api/project.ts';
import { CHANGES, type Change, ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject, type ProjectOptions } from '../../../test/support/objects/projects.ts';
import { CLUSTER, ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { FakeSecrets } from '../../../test/support/objects/secrets.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { LABEL } from '../docker/names.ts';
import { createRolloutMemory } from './desired/rollout.ts';

const SECRETS = new FakeSecrets();
SECRETS.set('shop', { password: 'open sesame' });
const PASSWORD = { secretKeyRef: { name: 'shop', key: 'password' } };

const DB: Service = {
  name: 'db',
  image: 'db:1',
  env: [{ name: 'PASSWORD', valueFrom: PASSWORD }],
  files: [{ mountPath: '/etc/db/password', mode: '0400', ...PASSWORD }],
  healthCheck: { test: ['CMD', 'true'] },
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
};
const WEB: Service = { name: 'web', image: 'web:1', dependsOn: [{ service: 'db', condition: 'Healthy' }] };
const API: Service = { name: 'api', image: 'web:1', healthCheck: { test: ['CMD', 'true'] } };
const OLD: Service = { name: 'old', image: 'web:1', volumeMounts: [{ name: 'scratch', mountPath: '/s' }] };

function shop(options: ProjectOptions): ProjectObject {
  const volumes = [{ name: 'data', type: 'Managed' as const }, { name: 'scratch' }];
  return SECRETS.fill(makeProject({ volumes, services: [DB, WEB, API, OLD], ...options }));
}

/** What a user does from nothing to nothing, so that every kind of step comes. */
const ACTS: readonly { readonly name: string; readonly project: ProjectObject; readonly phase: 'Running' | 'Failed' | 'Terminated' }[] = [
  { name: 'bring up', project: shop({}), phase: 'Running' },
  {
    name: 'update',
    project: shop({
      generation: 2,
      services: [{ ...DB, image: 'db:2' }, { ...WEB, command: ['two'] }, API],
      volumes: [{ name: 'data', type: 'Managed' }],
    }),
    phase: 'Running',
  },
  {
    name: 'roll back',
    project: shop({
      generation: 3,
      services: [
        { ...DB, image: 'db:bad' },
        { ...WEB, command: ['three'] },
        { ...API, command: ['three'] },
      ],
      volumes: [{ name: 'data', type: 'Managed' }],
    }),
    phase: 'Failed',
  },
  { name: 'tear down', project: shop({ generation: 3, services: [DB, WEB], isDeleted: true }), phase: 'Terminated' },
];

function newModel(): ModelEngine {
  const model = new ModelEngine();
  model.addImage('web:1');
  model.registry.add('db:1');
  model.registry.add('db:2');
  model.registry.add('db:bad');
  model.health.set('db:bad', { status: 'unhealthy', failingStreak: 3, log: [] });
  return model;
}

async function act(world: ReconcileWorld, { project, phase }: (typeof ACTS)[number]): Promise<void> {
  world.assign([project]);
  const isThere = ({ phase: current, observedGeneration, services = [] }: StatusReport): boolean =>
    current === phase &&
    observedGeneration === project.metadata.generation &&
    services.every(({ ready }) => ready || phase === 'Terminated');
  await world.until(() => isThere(world.latest() ?? assert.fail('no report')));
  assert.equal(world.latest()?.reason === 'RolledBack', phase === 'Failed');
}

/** What stands in the engine at the end: names, hashes and states, but no ids. */
function endOf(model: ModelEngine): unknown {
  return {
    containers: [...model.containers.values()]
      .map(({ name, spec, state, files, endpoint: { aliases } }) =>
        [name, aliases.join(','), spec.labels[LABEL.configHash], state.status, JSON.stringify(spec.env), ...[...files].flat()].join(' '),
      )
      .toSorted(),
    networks: [...model.networks.values()].map(({ name }) => name),
    volumes: [...model.volumes.keys()].toSorted(),
  };
}

/** Runs the acts up to `last` without a crash. @returns the end, and the changes that the last act made */
async function runUndisturbed(last: number): Promise<{ readonly end: unknown; readonly changes: readonly string[] }> {
  const model = newModel();
  await using world = new ReconcileWorld({ model, secrets: SECRETS, rollouts: createRolloutMemory() });
  let before = 0;
  for (const each of ACTS.slice(0, last + 1)) {
    before = model.changes.length;
    await act(world, each);
  }
  return { end: endOf(model), changes: model.changes.slice(before) };
}

/** Runs the acts, crashes right after the change numbered `crashAt` of the last one, and goes on with a new reconciler. */
async function runWithCrash(last: number, crashAt: number): Promise<ModelEngine> {
  const model = newModel();
  const clock = new VirtualClock();
  const rollouts = createRolloutMemory(); // as in the agent's file
  const world = new ReconcileWorld({ model, clock, secrets: SECRETS, rollouts });
  for (const each of ACTS.slice(0, last)) {
    await act(world, each);
  }
  const { promise: crashed, resolve } = Promise.withResolvers<void>();
  let changes = 0;
  let crash: Promise<void> | undefined;
  model.onChange = () => {
    changes += 1;
    if (changes === crashAt) {
      crash = world.crash();
      resolve();
    }
  };
  const end = ACTS[last] ?? assert.fail();
  world.assign([end.project]);
  await clock.advanceUntil(() => crash !== undefined, 60_000);
  await crashed;
  await crash;
  model.onChange = undefined;
  const kept = new Map([...model.containers.values()].filter(({ state }) => state.isRunning).map(({ id, spec }) => [id, spec]));
  await using next = new ReconcileWorld({ model, clock, secrets: SECRETS, rollouts });
  await act(next, end);
  if (end.phase !== 'Terminated') {
    const wanted = new Set(
      [...model.containers.values()].map(({ spec }) => `${spec.labels[LABEL.service]} ${spec.labels[LABEL.configHash]}`),
    );
    for (const [id, { labels }] of kept) {
      const isWanted = wanted.has(`${labels[LABEL.service]} ${labels[LABEL.configHash]}`);
      assert.equal(model.containers.has(id), isWanted, `container ${labels[LABEL.service]} was made anew, or kept though outdated`);
    }
  }
  return model;
}

const seen = new Set<Change>();

for (const [index, each] of ACTS.entries()) {
  test(`run() ends the same after a crash right behind any step: ${each.name}`, async () => {
    const { end, changes } = await runUndisturbed(index);
    assert.ok(changes.length >= 4);
    for (const [n, change] of changes.entries()) {
      seen.add(change.split(' ')[0] as Change);
      const model = await runWithCrash(index, n + 1);
      assert.deepEqual(endOf(model), end, `after ${change}`);
      assert.ok([...model.containers.values()].every(({ spec }) => spec.labels[LABEL.cluster] === CLUSTER));
    }
  });
}

test('the acts above take every kind of step', () => {
  const byHealth = 'restartContainer'; // comes of no change of a spec: see health.test.ts
  assert.deepEqual([...seen].toSorted(), CHANGES.filter((change) => change !== byHealth).toSorted());
});
