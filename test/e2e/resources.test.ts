/** Limits and requests on a real engine: what the engine enforces, and what is said of a Project that no longer fits its node. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { quantityToUnits } from '../../src/api/quantity.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NODE = 'worker-01';
const MEBIBYTE = 2 ** 20;
const scratch = makeScratch();

after(() => scratch[Symbol.dispose]());

async function apply(server: Program, name: string, service: object): Promise<void> {
  const services = [{ name: 'web', image: IMAGES.v1.tag, stopGracePeriod: '0s', ...service }];
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services } };
  const { code, stderr } = await caractrl(['apply', '-f', '-'], { server: server.url, input: JSON.stringify(manifest) });
  assert.equal(code, 0, stderr);
}

async function join(server: Program, reservedMemory = '0'): Promise<Program> {
  return await startAgent({
    serverUrl: server.url,
    engineHost: testEngine(),
    nodeName: NODE,
    dataDir: path.join(scratch.path, 'agent'),
    env: { HEARTBEAT_INTERVAL: '500ms', SYSTEM_RESERVED: `memory=${reservedMemory}` },
  });
}

async function conditionOf(
  server: Program,
  project: string,
  type: string,
): Promise<ProjectObject['status']['conditions'][number] | undefined> {
  const found = (await findObject(server.url, `projects/${project}`)) as unknown as ProjectObject | undefined;
  return found?.status.conditions.find((condition) => condition.type === type);
}

test('limits of memory and CPU are the engine`s to enforce, and a service that it killed for want of memory says so', async () => {
  await using server = await startServer();
  await using _agent = await join(server);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  await apply(server, 'limited', { command: ['web'], resources: { limits: { memory: '48Mi', cpu: '250m' } } });
  await projectInPhase(server.url, { name: 'limited', phase: 'Running' });
  const { HostConfig: host } = (await callEngineJson({ host: testEngine(), path: '/containers/cara_limited_web/json' })) as {
    HostConfig: { Memory: number; NanoCpus: number };
  };
  assert.deepEqual([host.Memory, host.NanoCpus], [48 * MEBIBYTE, 250_000_000]);

  const greedy = { entrypoint: ['/bin/busybox', 'tail', '/dev/zero'], restartPolicy: 'Never', resources: { limits: { memory: '16Mi' } } };
  await apply(server, 'greedy', greedy);
  const failed = await projectInPhase(server.url, { name: 'greedy', phase: 'Failed' });
  assert.match(String(failed.status['message']), /ended with code 137, killed as it ran out of memory/u);
  assert.equal((await caractrl(['delete', 'projects', 'limited', 'greedy'], { server: server.url })).code, 0);
});

test('a Project that no longer fits, as its node has less to give, stays and says so; a new one is not placed there', async () => {
  await using server = await startServer();
  const agent = await join(server);
  const node = (await nodeInState(server.url, { name: NODE, state: 'Ready' })) as unknown as NodeObject;
  const capacity = quantityToUnits(String(node.status.capacity?.memory));
  for (const name of ['older', 'younger']) {
    await apply(server, name, { command: ['web'], resources: { requests: { memory: '200Mi' } } });
    await projectInPhase(server.url, { name, phase: 'Running' });
  }
  const before = await callEngineJson({ host: testEngine(), path: '/containers/cara_younger_web/json' });

  assert.equal(await agent.stop(), 0);
  await using _smaller = await join(server, String(capacity - 300 * MEBIBYTE));
  const misfit = await until(async () => await conditionOf(server, 'younger', 'FitsNode'), {
    what: 'younger to say that it does not fit',
    timeoutMs: 60_000,
  });
  assert.match(
    misfit.message,
    /^The memory of the node does not suffice \(200Mi asked beside 200Mi of older Projects, \S+ allocatable\): it stays on worker-01/u,
  );
  assert.equal(await conditionOf(server, 'older', 'FitsNode'), undefined);
  await projectInPhase(server.url, { name: 'younger', phase: 'Running' });
  const now = (await callEngineJson({ host: testEngine(), path: '/containers/cara_younger_web/json' })) as { readonly State: object };
  assert.deepEqual(now.State, (before as typeof now).State, 'nothing is restarted for it');

  await apply(server, 'next', { command: ['web'], resources: { requests: { memory: '200Mi' } } });
  const refused = await until(
    async () => {
      const scheduled = await conditionOf(server, 'next', 'Scheduled');
      return scheduled?.status === 'False' && scheduled;
    },
    { what: 'next to be refused', timeoutMs: 60_000 },
  );
  assert.match(refused.message, /0\/1 nodes are available: 1 lacks? memory/u);
  assert.equal((await caractrl(['delete', 'projects', 'older', 'younger', 'next'], { server: server.url })).code, 0);
});
