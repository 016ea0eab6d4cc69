import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../scripts/lib/wait.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { CLUSTER } from '../../../test/support/worlds/reconcile-world.ts';
import { systemClock } from '../../base/clock.ts';
import { Stopper } from '../../base/stopper.ts';
import { EngineError } from '../docker/engine-error.ts';
import { containerLabels, containerName, networkName } from '../docker/names.ts';
import { ExecLedger } from '../exec/exec-ledger.ts';
import { serviceRoutes } from './service-routes.ts';

const SIGNAL = new AbortController().signal;

/** What agents of one data folder share. */
function makeFile() {
  let content: string | undefined;
  const disk = { readTextNow: () => content, overwriteNow: (_: string, text: string) => void (content = text) };
  const open = (): ExecLedger => new ExecLedger('commands.json', disk);
  const list = (): readonly string[] =>
    (JSON.parse(content ?? '{"running":[]}') as { readonly running: readonly { readonly execId: string }[] }).running.map(
      ({ execId }) => execId,
    );
  return { open, list };
}

const failOn = (name: string, error: unknown): void => assert.fail(`${name}: ${String(error)}`);

test('what a former agent has left running is asked after at the start, and forgotten when it has ended', async () => {
  const file = makeFile();
  file.open().begun({ execId: 'left', containerId: 'c0ffee0f'.repeat(8), hasTty: false });
  const stopper = new Stopper(failOn);
  const asked: string[] = [];
  const inspectExec = async (execId: string) => {
    asked.push(execId);
    return await Promise.resolve(undefined); // it is gone
  };
  const engine = { ...new ModelEngine().engine, inspectExec };
  serviceRoutes({ engine, clusterId: () => CLUSTER, clock: systemClock, stopper, ledger: file.open() });
  await until(() => file.list().length === 0, { what: 'the command to be forgotten', timeoutMs: 60_000 });
  await stopper.stop();
  assert.equal(asked[0], 'left');
});

test('a command is noted before it is started, and forgotten where it cannot be', async () => {
  const model = new ModelEngine();
  model.addImage('web:1');
  model.plantNetwork(networkName('shop'), '10.210.0.0/26', {});
  const labels = containerLabels({ cluster: CLUSTER, project: 'shop', projectUid: 'u1', assignment: 1, service: 'web', configHash: 'h1' });
  const network = { name: networkName('shop'), aliases: ['web'] };
  const id = await model.engine.createContainer(containerName('shop', 'web'), { image: 'web:1', labels, network }, SIGNAL);
  await model.engine.startContainer(id, SIGNAL);
  const file = makeFile();
  const noted: (readonly string[])[] = [];
  const engine = {
    ...model.engine,
    createExec: async () => await Promise.resolve('begun'),
    startExec: async () => {
      noted.push(file.list());
      return await Promise.reject(new EngineError('EngineFault', 'Cannot start'));
    },
  };
  const stopper = new Stopper(failOn);
  const routes = serviceRoutes({ engine, clusterId: () => CLUSTER, clock: systemClock, stopper, ledger: file.open() });
  const exec = routes.find(({ path }) => path.test('/api/v1/exec/shop/web'));
  assert.ok(exec?.kind === 'stream');
  const url = new URL('http://agent/api/v1/exec/shop/web?command=sleep');
  await assert.rejects(
    exec.open({ params: { project: 'shop', service: 'web' }, url, method: 'GET', header: () => undefined, signal: SIGNAL }),
    /does not play along/u,
  );
  await stopper.stop();
  assert.deepEqual([noted, file.list()], [[['begun']], []]);
});
