/** Engines that stop, crash and lie, under running Projects: no container is made anew, and none is started twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callEngine, callEngineJson } from '../../scripts/lib/engine-http.ts';
import type { Engine } from '../../scripts/lib/engine.ts';
import { argumentsOf, listProcesses } from '../../scripts/lib/process.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { startFaultyProxy } from '../support/engines/faulty-proxy.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NODE = 'worker-01';

/** Ends with an error when it is told to end: what ends well has completed, also where it was the engine that ended it. */
const STUBBORN = { entrypoint: ['/bin/busybox'], command: ['sleep', '86400'] };

/** One service that the engine restarts by itself, and one that it only does after an error. */
function manifest(name: string, spec: object = {}): string {
  const service = (more: object) => ({ image: IMAGES.v1.tag, command: ['greeter'], stopGracePeriod: '1s', ...more });
  const services = [
    service({ name: 'always' }),
    service({ name: 'failing', ...STUBBORN, restartPolicy: 'OnFailure', dependsOn: [{ service: 'always' }] }),
  ];
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services, ...spec } });
}

async function apply(server: Program, text: string): Promise<void> {
  const { code, stderr } = await caractrl(['apply', '--wait', '--timeout', '60s', '-f', '-'], { server: server.url, input: text });
  assert.equal(code, 0, stderr);
}

/** container name -> id and start */
async function startsOf(host: string): Promise<Readonly<Record<string, { readonly id: string; readonly startedAt: string }>>> {
  const { containers } = await contentsOf(host);
  const found = Object.entries(containers).map(async ([name, id]) => {
    const { State } = (await callEngineJson({ host, path: `/containers/${id}/json` })) as { State: { StartedAt: string } };
    return [name, { id, startedAt: State.StartedAt }] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

function idsOf(starts: Awaited<ReturnType<typeof startsOf>>): readonly string[] {
  return Object.entries(starts)
    .map(([name, { id }]) => `${name} ${id}`)
    .toSorted();
}

const ENDS: readonly { readonly name: string; readonly end: (engine: Engine) => Promise<void> }[] = [
  { name: 'stopped', end: async (engine) => await engine.halt() },
  { name: 'killed', end: async (engine) => await engine.kill() },
];

for (const hasLiveRestore of [false, true]) {
  test(`an engine ${hasLiveRestore ? 'with' : 'without'} live-restore that is stopped, then killed, and started again: no container is made anew`, async () => {
    using folder = makeScratch();
    await using engine = await startExtraEngine({ network: 'own', images: 'hello', hasLiveRestore });
    await using server = await startServer();
    await using agent = await startAgent({
      serverUrl: server.url,
      engineHost: engine.host,
      nodeName: NODE,
      dataDir: folder.path,
      env: { HEARTBEAT_INTERVAL: '500ms' },
    });
    await nodeInState(server.url, { name: NODE, state: 'Ready' });
    await apply(server, manifest('plain'));
    await apply(server, manifest('fenced', { onNodeLost: { action: 'Reschedule', after: '5m', fence: true } }));
    const before = await startsOf(engine.host);
    assert.equal(Object.keys(before).length, 4);
    for (const { name, end } of ENDS) {
      await end(engine);
      await nodeInState(server.url, { name: NODE, state: 'NotReady' });
      await engine.start();
      await nodeInState(server.url, { name: NODE, state: 'Ready' });
      await projectInPhase(server.url, { name: 'plain', phase: 'Running' });
      await projectInPhase(server.url, { name: 'fenced', phase: 'Running' });
      const after = await startsOf(engine.host);
      assert.deepEqual(idsOf(after), idsOf(before), name);
      if (hasLiveRestore) {
        assert.deepEqual(after, before, `${name}: nothing even restarted`);
      }
    }
    const made = agent.log().filter(({ msg, stepKind }) => msg === 'step done' && stepKind === 'createContainer');
    assert.equal(made.length, 4);
    assert.equal((await caractrl(['delete', 'projects', 'plain', 'fenced'], { server: server.url })).code, 0);
    const hasGuard = (): boolean => listProcesses((pid) => pid !== agent.pid && argumentsOf(pid).includes(folder.path)).length > 0;
    await until(() => !hasGuard(), { what: 'the guard of the fence to end', timeoutMs: 60_000 });
    assert.equal(await agent.stop(), 0);
  });
}

test('an engine that answers 500 to what it has done: each container is made and started once, and the Project is Running', async () => {
  const failures = new Map<string, number>();
  await using proxy = await startFaultyProxy(testEngine(), (call) => {
    const kind = /^(?:POST .*\/(create|start|stop)|DELETE .*\/(containers|networks)\/)/u.exec(call)?.[0];
    const count = failures.get(kind ?? '') ?? 0;
    failures.set(kind ?? '', count + 1);
    return kind !== undefined && count < 2;
  });
  await using server = await startServer();
  await using agent = await startAgent({
    serverUrl: server.url,
    engineHost: proxy.host,
    nodeName: NODE,
    env: { HEARTBEAT_INTERVAL: '500ms' },
  });
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  const since = Math.floor(Date.now() / 1000) - 1;
  await apply(server, manifest('lied-to'));
  const events = await eventsOf(since);
  assert.deepEqual(
    events.filter((line) => /^container (?:create|start) cara_lied-to/u.test(line)).toSorted(),
    ['create', 'start']
      .flatMap((action) => ['always', 'failing'].map((service) => `container ${action} cara_lied-to_${service}`))
      .toSorted(),
  );
  assert.ok(proxy.lies.some((call) => call.endsWith('/start')) && proxy.lies.some((call) => call.endsWith('/create')), String(proxy.lies));
  assert.equal((await caractrl(['delete', 'project', 'lied-to'], { server: server.url })).code, 0);
  assert.deepEqual(await contentsOf(testEngine(), 'cara_lied-to'), { containers: {}, networks: [], volumes: [] });
  assert.equal(await agent.stop(), 0);
});

/** What the engine did since then, as `container start NAME`. */
async function eventsOf(sinceSeconds: number): Promise<readonly string[]> {
  const untilSeconds = Math.floor(Date.now() / 1000) + 1; // the stream ends there
  const { text } = await callEngine({ host: testEngine(), path: `/events?since=${sinceSeconds}&until=${untilSeconds}` });
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { Type: string; Action: string; Actor: { Attributes: { name?: string } } })
    .map(({ Type, Action, Actor }) => `${Type} ${Action} ${Actor.Attributes.name}`);
}
