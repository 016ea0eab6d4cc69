import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { EngineError } from '../docker/engine-error.ts';
import { createImagePuller } from './image-puller.ts';

const { signal } = new AbortController();
const random = { next: () => 0.5, uuid: () => '' };
const QUIET = { auth: undefined, isForced: false, onProgress: () => undefined };

test('pull() notes what it brought, and not what was there', async () => {
  const model = new ModelEngine();
  model.addImage('there:1');
  model.registry.add('there:1').add('new:1');
  const noted: string[] = [];
  const onPulled = (reference: string): void => void noted.push(reference);
  const puller = createImagePuller({ engine: model.engine, clock: new VirtualClock(), random, onPulled });
  await puller.pull('there:1', QUIET, signal);
  await puller.pull('there:1', { ...QUIET, isForced: true }, signal);
  await puller.pull('new:1', QUIET, signal);
  assert.deepEqual(noted, ['new:1']);
});

test('pull() says that the disk is full, and how much of it is free', async () => {
  const model = new ModelEngine();
  const pullImage = async (): Promise<void> =>
    await Promise.reject(new EngineError('NoSpace', 'Cannot pull image "big:1": write /x: no space left on device'));
  const options = { engine: { ...model.engine, pullImage }, clock: new VirtualClock(), random };
  for (const [free, words] of [
    [300 * 2 ** 20, ', where 300 MiB are free without it'],
    [undefined, ''],
  ] as const) {
    const puller = createImagePuller({ ...options, onNoSpace: async () => await Promise.resolve(free) });
    const message = `Cannot pull image "big:1" as it does not fit onto the engine's disk${words}: free space on the node (said: write /x: no space left on device)`;
    await assert.rejects(puller.pull('big:1', QUIET, signal), { reason: 'NoSpace', message });
  }
});
