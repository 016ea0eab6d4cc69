import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProject } from '../../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../../test/support/worlds/reconcile-world.ts';
import { FakeSecrets } from '../../../../test/support/objects/secrets.ts';
import type { ProjectObject, Service } from '../../../api/project.ts';
import { EngineError } from '../../docker/engine-error.ts';
import type { PullImageOptions } from '../../docker/engine.ts';
import { ModelEngine } from '../../../../test/support/engines/model-engine.ts';
import { derivePull } from './image-pull.ts';

const SPEC = { services: [] };

/** A model whose pulls are listed, with the user that each was made as. */
function listPulls(world: { readonly model: ModelEngine }): { readonly pulls: string[]; readonly engine: ModelEngine['engine'] } {
  const pulls: string[] = [];
  const pullImage = async (image: string, options: PullImageOptions, signal: AbortSignal): Promise<void> => {
    pulls.push(options.auth === undefined ? image : `${options.auth.username}@${image}`);
    await world.model.engine.pullImage(image, options, signal);
  };
  return { pulls, engine: { ...world.model.engine, pullImage } };
}

function projectOf(service: Partial<Service>, generation = 1): ProjectObject {
  return makeProject({ services: [{ name: 'web', image: 'web', ...service }], generation });
}

test('derivePull() asks anew for latest and for no tag, as Kubernetes does, unless told otherwise', () => {
  const policyOf = (image: string): string => derivePull({ name: 'web', image }, SPEC).policy;
  assert.equal(policyOf('web'), 'Always');
  assert.equal(policyOf('r.example:5000/team/web'), 'Always');
  assert.equal(policyOf('web:latest'), 'Always');
  assert.equal(policyOf('web:1'), 'IfNotPresent');
  assert.equal(policyOf('web@sha256:abc'), 'IfNotPresent');
  assert.equal(derivePull({ name: 'web', image: 'web', imagePullPolicy: 'Never' }, SPEC).policy, 'Never');
});

test('Always pulls once for each container that is made, and never for one that runs', async () => {
  const model = new ModelEngine();
  model.addImage('web');
  model.registry.add('web');
  const { pulls, engine } = listPulls({ model });
  await using world = new ReconcileWorld({ model, engine });
  model.fail({ on: 'createContainer', reason: 'EngineFault' });
  world.assign([projectOf({})]);
  await world.untilPhase('Running');
  assert.deepEqual(pulls, ['web'], 'a creation that fails is tried again with what was pulled');
  await world.clock.advance(600_000);
  assert.deepEqual(pulls, ['web']);
  world.assign([projectOf({ command: ['other'] }, 2)]);
  await world.until(() => world.latest()?.observedGeneration === 2 && world.latest()?.phase === 'Running');
  assert.deepEqual(pulls, ['web', 'web']);
});

test('Never fails without asking anybody where the image is not there', async () => {
  const model = new ModelEngine();
  model.registry.add('web');
  const { pulls, engine } = listPulls({ model });
  await using world = new ReconcileWorld({ model, engine });
  world.assign([projectOf({ imagePullPolicy: 'Never' })]);
  await world.untilPhase('Failed');
  assert.equal(world.latest()?.reason, 'ImageNotPresent');
  assert.deepEqual(pulls, []);
});

test('a pull goes with the credentials of its Secret, and says what is wrong with one', async () => {
  const model = new ModelEngine();
  model.registry.add('r.example/web:1');
  const { pulls, engine } = listPulls({ model });
  const secrets = new FakeSecrets();
  await using world = new ReconcileWorld({ model, engine, secrets });
  const withSecret = (): ProjectObject => {
    const project = projectOf({ image: 'r.example/web:1' });
    return secrets.fill({ ...project, spec: { ...project.spec, imagePullSecrets: [{ name: 'pull' }] } });
  };
  world.assign([withSecret()]);
  await world.until(() => world.latest()?.reason === 'SecretNotFound');
  secrets.set('pull', { password: 'x' });
  world.assign([withSecret()]);
  await world.until(() => world.latest()?.reason === 'SecretInvalid');
  assert.deepEqual(pulls, []);
  secrets.set('pull', { '.dockerconfigjson': JSON.stringify({ auths: { 'r.example': { username: 'ann', password: 'x' } } }) });
  world.assign([withSecret()]);
  await world.untilPhase('Running');
  assert.deepEqual(pulls, ['ann@r.example/web:1']);
});

test('a corrected Secret is tried at once, whatever the back-off of the one before', async () => {
  const model = new ModelEngine();
  model.registry.add('r.example/web:1');
  const secrets = new FakeSecrets();
  const pullImage = async (image: string, options: PullImageOptions, signal: AbortSignal): Promise<void> => {
    if (options.auth?.username !== 'ann') {
      throw new EngineError('PullDenied', `Cannot pull image "${image}": denied`);
    }
    await model.engine.pullImage(image, options, signal);
  };
  await using world = new ReconcileWorld({ model, engine: { ...model.engine, pullImage }, secrets });
  const withSecret = (username: string): ProjectObject => {
    secrets.set('pull', { '.dockerconfigjson': JSON.stringify({ auths: { 'r.example': { username, password: 'x' } } }) });
    const project = projectOf({ image: 'r.example/web:1' });
    return secrets.fill({ ...project, spec: { ...project.spec, imagePullSecrets: [{ name: 'pull' }] } });
  };
  world.assign([withSecret('bob')]);
  await world.untilPhase('Failed');
  const atMs = world.clock.monotonicMs();
  world.assign([withSecret('ann')]);
  await world.untilPhase('Running');
  assert.ok(world.clock.monotonicMs() - atMs < 1000);
});
