import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { NO_SECRETS } from '../../../test/support/objects/secrets.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { systemRandom } from '../../base/random.ts';
import { ownerLabels, volumeLabels } from '../docker/names.ts';
import { createImagePuller } from '../images/image-puller.ts';
import { Turn } from '../../base/turn.ts';
import { createEffects } from './effects.ts';
import { StepError } from './failure.ts';
import { SecretCache } from './secret-cache.ts';
import type { Effects } from './steps.ts';
import { sweepEngine } from './sweep.ts';

const { signal } = new AbortController();
const OWNER = { cluster: 'c1', project: 'shop', projectUid: 'u1', assignment: 1 };
const NETWORK = { kind: 'createNetwork', name: 'cara_shop', labels: ownerLabels(OWNER) } as const;

function effectsOf(model: ModelEngine, routes: readonly string[] = []): Effects {
  const options = {
    engine: model.engine,
    clock: new VirtualClock(),
    networkPools: ['10.210.0.0/24'],
    readRoutes: async () => await Promise.resolve(routes),
  };
  const images = createImagePuller({ engine: model.engine, clock: new VirtualClock(), random: systemRandom });
  return createEffects({ ...options, images, networkTurn: new Turn(), secrets: new SecretCache(NO_SECRETS) }, () => undefined);
}

function subnetsOf(model: ModelEngine): readonly string[] {
  return [...model.networks.values()].flatMap(({ subnets }) => subnets);
}

test('createNetwork takes the next subnet when the engine knows of an overlap that no list shows', async () => {
  const model = new ModelEngine();
  model.fail({ on: 'createNetwork', reason: 'SubnetTaken' });
  await effectsOf(model, ['0.0.0.0/0']).createNetwork(NETWORK, signal);
  assert.deepEqual(subnetsOf(model), ['10.210.0.64/26']);
});

test('createNetwork of many at once gives each a subnet of its own, and says so when there is none left', async () => {
  const model = new ModelEngine();
  const effects = effectsOf(model, ['10.210.0.0/26']);
  await Promise.all([1, 2, 3].map(async (n) => await effects.createNetwork({ ...NETWORK, name: `cara_p${n}` }, signal)));
  assert.deepEqual(subnetsOf(model), ['10.210.0.64/26', '10.210.0.128/26', '10.210.0.192/26']);
  assert.deepEqual(model.changes.filter((change) => change.startsWith('createNetwork')).length, 3, 'no try was in vain');
  await assert.rejects(
    effects.createNetwork({ ...NETWORK, name: 'cara_p4' }, signal),
    (error) => error instanceof StepError && error.reason === 'NoSubnet' && error.message.includes('10.210.0.0/24'),
  );
});

test('createNetwork is done when its network is there, and refuses one of the name that is not ours', async () => {
  const model = new ModelEngine();
  const effects = effectsOf(model);
  await effects.createNetwork(NETWORK, signal);
  await effects.createNetwork(NETWORK, signal);
  assert.equal(model.networks.size, 1);
  const labels = ownerLabels({ ...OWNER, projectUid: 'u2' });
  await assert.rejects(effects.createNetwork({ ...NETWORK, labels }, signal), { reason: 'NameTaken' });
});

test('createVolume takes over a volume of its Project and refuses any other', async () => {
  const model = new ModelEngine();
  const labels = volumeLabels({ ...OWNER, volume: 'data', volumeType: 'Managed' });
  model.plantVolume('ours', volumeLabels({ ...OWNER, projectUid: 'u0', volume: 'data', volumeType: 'Managed' }));
  model.plantVolume('theirs', {});
  const effects = effectsOf(model);
  await effects.createVolume({ kind: 'createVolume', name: 'ours', labels }, signal);
  await assert.rejects(effects.createVolume({ kind: 'createVolume', name: 'theirs', labels }, signal), { reason: 'NameTaken' });
});

test('removeVolume looks at the label once more: what became Managed, or nobody’s, in between stays', async () => {
  const model = new ModelEngine();
  model.plantVolume('kept', volumeLabels({ ...OWNER, volume: 'data', volumeType: 'Managed' }));
  model.plantVolume('plain', {});
  model.plantVolume('gone', volumeLabels({ ...OWNER, volume: 'data', volumeType: 'Ephemeral' }));
  const effects = effectsOf(model);
  for (const name of ['kept', 'plain', 'gone', 'never']) {
    await effects.removeVolume({ kind: 'removeVolume', name }, signal);
  }
  assert.deepEqual([...model.volumes.keys()], ['kept', 'plain']);
});

test('startContainer counts an error as success when the container runs all the same', async () => {
  const model = new ModelEngine();
  const { id } = model.plantContainer('a', { image: 'i', labels: {} });
  const effects = effectsOf(model);
  const step = { kind: 'startContainer', service: 'a', containerId: id } as const;
  model.fail({ on: 'startContainer', reason: 'EngineFault', isDoneAnyway: true });
  await effects.startContainer(step, signal);
  model.exit('a', 1);
  model.fail({ on: 'startContainer', reason: 'EngineFault' });
  await assert.rejects(effects.startContainer(step, signal), { reason: 'EngineFault' });
});

test('pullImage leaves an image alone that has come meanwhile', async () => {
  const model = new ModelEngine();
  model.addImage('a:1');
  await effectsOf(model).pullImage({ kind: 'pullImage', image: 'a:1' }, signal);
  assert.deepEqual(model.changes, []);
});

test('sweepEngine() names the owners of all that could go, which a Managed volume cannot', async () => {
  const model = new ModelEngine();
  model.plantVolume('kept', volumeLabels({ ...OWNER, volume: 'a', volumeType: 'Managed' }));
  assert.deepEqual((await sweepEngine(model.engine, 'c1', signal)).owners, []);
  model.plantVolume('scratch', volumeLabels({ ...OWNER, volume: 'b', volumeType: 'Ephemeral' }));
  model.plantNetwork('other', '10.0.0.0/24', ownerLabels({ ...OWNER, cluster: 'c2' }));
  assert.deepEqual((await sweepEngine(model.engine, 'c1', signal)).owners, [{ project: 'shop', uid: 'u1' }]);
});
