/** The control plane restored to an older state under a live agent, with the real programs and a real engine: nothing that runs is touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import path from 'node:path';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { run } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { contentsOf, IMAGES, startsOf, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NODE = 'worker-01';
const CARA_SERVER = path.join(import.meta.dirname, '../../bin/cara-server');

function manifest(name: string, image: string): string {
  const service = { name: 'greeter', image, command: ['greeter'], stopGracePeriod: '0s' };
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services: [service] } });
}

test('what was made or changed after the backup runs on, is listed, and is adopted without a restart', async () => {
  const engineHost = testEngine();
  using folder = makeScratch();
  const dataDir = `${folder.path}/server`;
  const file = `${folder.path}/fleet.backup`;
  const env = { PORT: String(await findFreePort(18_090, '127.0.0.1')) };
  const cara = async (...args: string[]) => await run(CARA_SERVER, args, { env: { ...process.env, DATA_DIR: dataDir }, timeoutMs: 60_000 });
  await using first = await startServer({ dataDir, env });
  const agentOptions = { serverUrl: first.url, engineHost, nodeName: NODE, dataDir: `${folder.path}/agent` };
  await using agent = await startAgent(agentOptions);
  await nodeInState(first.url, { name: NODE, state: 'Ready' });
  const apply = async (name: string, image: string): Promise<void> => {
    const { code, stderr } = await caractrl(['apply', '-f', '-', '--wait'], { server: first.url, input: manifest(name, image) });
    assert.equal(code, 0, stderr);
  };
  await apply('steady', IMAGES.v1.tag);
  await apply('changed', IMAGES.v1.tag);
  const backup = await cara('backup', file);
  assert.equal(backup.code, 0, backup.stderr);
  await apply('changed', IMAGES.v2.tag);
  await apply('late', IMAGES.v1.tag);
  const before = await startsOf(engineHost);
  assert.equal(Object.keys(before).length, 3);

  await first.stop();
  const restored = await cara('restore', file);
  assert.equal(restored.code, 0, restored.stderr);
  await using second = await startServer({ dataDir, env });
  const list = async (): Promise<readonly string[]> => {
    const { stdout } = await caractrl(['adopt', '-o', 'json'], { server: second.url });
    const { items } = JSON.parse(stdout) as { readonly items: readonly { project: string; node: string; reason: string }[] };
    return items.map(({ project, node, reason }) => `${project} ${node} ${reason}`);
  };
  const wanted = ['changed worker-01 Newer', 'late worker-01 Unknown'];
  await until(async () => JSON.stringify(await list()) === JSON.stringify(wanted), {
    what: 'what is held to be listed',
    timeoutMs: 120_000,
  });
  await until(async () => /ProjectsHeld/u.test((await caractrl(['get', 'nodes'], { server: second.url })).stdout), {
    what: 'the condition',
    timeoutMs: 120_000,
  });
  assert.equal(
    ((await findObject(second.url, 'projects/changed')) as ProjectObject | undefined)?.spec.services[0]?.image,
    IMAGES.v1.tag,
    'the older state',
  );
  await agent.kill();
  await using again = await startAgent(agentOptions);
  await again.logged('projects assigned');
  await nodeInState(second.url, { name: NODE, state: 'Ready' });
  assert.deepEqual(await startsOf(engineHost), before);
  assert.deepEqual(await list(), wanted);

  const adopted = await caractrl(['adopt', '--all'], { server: second.url });
  assert.deepEqual(
    [adopted.code, adopted.stdout],
    [0, 'project/changed adopted on worker-01\nproject/late adopted on worker-01\n'],
    adopted.stderr,
  );
  for (const name of ['changed', 'late', 'steady']) {
    await projectInPhase(second.url, { name, phase: 'Running' });
  }
  assert.equal(((await findObject(second.url, 'projects/changed')) as ProjectObject | undefined)?.spec.services[0]?.image, IMAGES.v2.tag);
  assert.deepEqual(await startsOf(engineHost), before);
  assert.deepEqual(await list(), []);
  assert.equal((await caractrl(['delete', 'projects', 'steady', 'changed', 'late'], { server: second.url })).code, 0);
  assert.deepEqual(await contentsOf(engineHost), { containers: {}, networks: [], volumes: [] });
});
