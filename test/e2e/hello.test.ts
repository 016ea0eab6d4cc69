/** examples/hello with the real programs and a real engine: from apply to a page, a new image, deletion. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { fetchPage, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const MANIFEST = readFileSync(path.join(import.meta.dirname, '../../examples/hello/project.yaml'), 'utf8');

test('hello: apply shows a page, a new image changes it, delete leaves nothing', async () => {
  const engineHost = testEngine();
  await using server = await startServer();
  await using agent = await startAgent({ serverUrl: server.url, engineHost, nodeName: 'worker-01' });
  await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  const hostPort = await findFreePort(8000, '0.0.0.0');
  const manifest = MANIFEST.replace('hostPort: 8000', `hostPort: ${hostPort}`);
  const pageUrl = `http://127.0.0.1:${hostPort}/`;

  const created = await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest });
  assert.deepEqual({ code: created.code, stdout: created.stdout }, { code: 0, stdout: 'project/hello created\n' }, created.stderr);
  await projectInPhase(server.url, { name: 'hello', phase: 'Running' });
  assert.match(await fetchPage(pageUrl), new RegExp(`<h1>${IMAGES.v1.greeting}</h1>`, 'u'));

  const v2 = manifest.replaceAll(IMAGES.v1.tag, IMAGES.v2.tag);
  const changed = await caractrl(['apply', '-f', '-'], { server: server.url, input: v2 });
  assert.equal(changed.stdout, 'project/hello configured\n', changed.stderr);
  const isNew = async (): Promise<boolean> => (await fetchPage(pageUrl)).includes(IMAGES.v2.greeting);
  await until(isNew, { what: 'the new greeting', timeoutMs: 60_000 });

  const deleted = await caractrl(['delete', 'project', 'hello'], { server: server.url });
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.deepEqual(await contentsOf(engineHost), { containers: {}, networks: [], volumes: [] });
  assert.equal(await agent.stop(), 0);
  assert.equal(await server.stop(), 0);
});
