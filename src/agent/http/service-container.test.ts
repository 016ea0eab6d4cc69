import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { CLUSTER } from '../../../test/support/worlds/reconcile-world.ts';
import { containerLabels, containerName, networkName, nextContainerName } from '../docker/names.ts';
import type { ApiError } from '../../api/errors.ts';
import { findContainer, getRunningContainer } from './service-container.ts';

const NAME = { project: 'shop', service: 'web' };
const SIGNAL = new AbortController().signal;
const network = (aliases: readonly string[]) => ({ name: networkName('shop'), aliases });
const labels = containerLabels({ cluster: CLUSTER, project: 'shop', projectUid: 'u1', assignment: 1, service: 'web', configHash: 'h1' });

async function twoVersions(): Promise<ModelEngine> {
  const model = new ModelEngine();
  model.addImage('web:1');
  model.plantNetwork(networkName('shop'), '10.210.0.0/26', {});
  const make = async (name: string, aliases: readonly string[]): Promise<void> => {
    const id = await model.engine.createContainer(name, { image: 'web:1', labels, network: network(aliases) }, SIGNAL);
    await model.engine.startContainer(id, SIGNAL);
  };
  await make(containerName('shop', 'web'), ['web']);
  await make(nextContainerName('shop', 'web'), []);
  return model;
}

test('during a change the container that serves is talked to, and the newest one listened to', async () => {
  const model = await twoVersions();
  const sources = { engine: model.engine, clusterId: () => CLUSTER };
  const talking = async (): Promise<string> => (await getRunningContainer(sources, { ...NAME, action: 'connect to' }, SIGNAL)).name;
  assert.equal(await talking(), 'cara_shop_web');
  assert.deepEqual((await findContainer(sources, NAME, SIGNAL))?.names, ['cara_shop_web_next']);
  model.exit('cara_shop_web', 1);
  assert.equal(await talking(), 'cara_shop_web_next', 'the one that runs, where none serves');
});

test('where none runs, the newest one says why', async () => {
  const model = await twoVersions();
  model.exit('cara_shop_web', 1);
  model.exit('cara_shop_web_next', 3);
  const sources = { engine: model.engine, clusterId: () => CLUSTER };
  await assert.rejects(getRunningContainer(sources, { ...NAME, action: 'connect to' }, SIGNAL), (error: ApiError) => {
    assert.equal(error.reason, 'NotRunning');
    assert.match(error.message, /^Cannot connect to shop\/web as its container does not run: it is exited, ended with exit code 3 at /u);
    return true;
  });
});
