/** kill -9 of agent and server with the real programs and a real engine: what runs stays as it is, what was acknowledged is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, startsOf, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NODE = 'worker-01';

function manifest(name: string): string {
  const service = { name: 'greeter', image: IMAGES.v1.tag, command: ['greeter'], stopGracePeriod: '0s' };
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services: [service] } });
}

test('kill -9 of the agent: its next start finds the same containers running and restarts none', async () => {
  const engineHost = testEngine();
  using folder = makeScratch();
  await using server = await startServer();
  const options = { serverUrl: server.url, engineHost, nodeName: NODE, dataDir: `${folder.path}/agent` };
  await using first = await startAgent(options);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('steady') });
  await projectInPhase(server.url, { name: 'steady', phase: 'Running' });
  const before = await startsOf(engineHost);
  assert.deepEqual(Object.keys(before), ['cara_steady_greeter']);

  await first.kill();
  await using second = await startAgent(options);
  await second.logged('projects assigned');
  await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('later') });
  await projectInPhase(server.url, { name: 'later', phase: 'Running' }); // the new agent works, and has looked at all that is there
  assert.equal((await startsOf(engineHost))['cara_steady_greeter'], before['cara_steady_greeter']);
  assert.equal((await caractrl(['delete', 'projects', 'steady', 'later'], { server: server.url })).code, 0);
  assert.deepEqual(await contentsOf(engineHost), { containers: {}, networks: [], volumes: [] });
});

test('kill -9 of the server during a stream of applies: everything acknowledged is there, and no container notices', async () => {
  const engineHost = testEngine();
  using folder = makeScratch();
  const port = String(await findFreePort(18_080, '127.0.0.1'));
  const options = { dataDir: `${folder.path}/server`, env: { PORT: port } };
  await using first = await startServer(options);
  await using agent = await startAgent({ serverUrl: first.url, engineHost, nodeName: NODE });
  await nodeInState(first.url, { name: NODE, state: 'Ready' });
  await caractrl(['apply', '-f', '-'], { server: first.url, input: manifest('steady') });
  await projectInPhase(first.url, { name: 'steady', phase: 'Running' });
  const before = await startsOf(engineHost);

  const acknowledged: string[] = [];
  const stream = async (writer: number): Promise<void> => {
    for (let index = 0; ; index += 1) {
      // a selector that no node matches: what counts is the record, not a hundred containers
      const body = JSON.parse(manifest(`p-${writer}-${index}`)) as { spec: object };
      const parked = { ...body, spec: { ...body.spec, nodeSelector: { nowhere: 'yes' } } };
      const answer = await fetch(`${first.url}/api/v1/projects`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(parked),
      });
      assert.equal(answer.status, 201);
      acknowledged.push(`p-${writer}-${index}`);
    }
  };
  const writers = [0, 1, 2, 3].map(async (writer) => await stream(writer).catch((error: unknown) => error));
  await until(() => acknowledged.length >= 60, { what: '60 acknowledged applies', timeoutMs: 60_000 });
  await first.kill();
  for (const ending of await Promise.all(writers)) {
    assert.ok(ending instanceof TypeError, `a writer ended by something else than the cut connection: ${String(ending)}`);
  }

  await using second = await startServer(options);
  for (const name of acknowledged) {
    assert.ok(await findObject(second.url, `projects/${name}`), `${name} was acknowledged and is gone`);
  }
  await nodeInState(second.url, { name: NODE, state: 'Ready' });
  await caractrl(['apply', '-f', '-'], { server: second.url, input: manifest('later') });
  await projectInPhase(second.url, { name: 'later', phase: 'Running' });
  assert.equal((await startsOf(engineHost))['cara_steady_greeter'], before['cara_steady_greeter']);
  const { stdout } = await caractrl(['get', 'nodes'], { server: second.url });
  assert.match(stdout, /^worker-01 +Ready +Healthy/mu);
  assert.equal((await caractrl(['delete', 'projects', 'steady', 'later'], { server: second.url })).code, 0);
  assert.equal(await agent.stop(), 0);
});
