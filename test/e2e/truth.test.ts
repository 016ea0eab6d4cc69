/** What happens on a node that nobody asked Caravanserai for: seen within a second, put right, and told. Run with: npm run test:e2e -- truth */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { GUARD_LOCK } from '../../src/agent/fence/guard-process.ts';
import type { ServiceStatus } from '../../src/api/project.ts';
import { findPidLockHolder } from '../../src/base/pid-lock.ts';
import { contentsOf, IMAGES, startExtraEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase, type SeenObject } from '../support/programs/seen.ts';

const shell = (name: string, line: string, more: object = {}): object => ({
  name,
  image: IMAGES.v1.tag,
  entrypoint: ['/bin/sh', '-c'],
  command: [line],
  stopGracePeriod: '1s',
  ...more,
});

function manifest(name: string, services: readonly object[], more: object = {}): string {
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services, ...more } });
}

function serviceOf(project: SeenObject | undefined, name: string): ServiceStatus {
  const services = (project?.status['services'] ?? []) as readonly ServiceStatus[];
  return services.find((service) => service.name === name) ?? assert.fail(`no service ${name}`);
}

/** Follows the phases of Projects from now on, as any watcher sees them. */
async function followPhases(serverUrl: string, controller: AbortController): Promise<readonly string[]> {
  const phases: string[] = [];
  const { metadata } = (await (await fetch(`${serverUrl}/api/v1/projects`)).json()) as SeenObject;
  const url = `${serverUrl}/api/v1/projects?watch=true&resourceVersion=${metadata.resourceVersion}`;
  const { body } = await fetch(url, { signal: controller.signal });
  const read = async (): Promise<void> => {
    let text = '';
    for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { type: string; object: SeenObject };
        if (type === 'MODIFIED') {
          const { phase = '', reason } = object.status as { readonly phase?: string; readonly reason?: unknown };
          phases.push(typeof reason === 'string' ? `${phase} ${reason}` : phase);
        }
      }
    }
  };
  read().catch(() => undefined); // ended by the controller
  return phases;
}

test('what someone does to containers, and what they do themselves, is put right and told with codes and signals', async () => {
  await using engine = await startExtraEngine({ images: 'hello' });
  await using server = await startServer();
  await using _agent = await startAgent({ serverUrl: server.url, engineHost: engine.host, nodeName: 'worker-01' });
  await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  const forever = 'trap "exit 0" TERM; while :; do sleep 1 & wait $!; done';
  const services = [
    shell('a', forever),
    shell('b', forever),
    shell('c', forever),
    shell('greedy', 'test -e /again && sleep 600; touch /again; sleep 2; exec dd if=/dev/zero of=/dev/null bs=200M', {
      resources: { limits: { memory: '16Mi' } },
    }),
    shell('crasher', `test -e /again && sleep 600; touch /again; sleep 2; sh -c 'kill -SEGV $$'; exit $?`),
    shell('job', 'sleep 1', { restartPolicy: 'OnFailure' }),
  ];
  assert.equal((await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('shop', services) })).code, 0);
  const ids = async () => (await contentsOf(engine.host)).containers;
  await until(async () => Object.keys(await ids()).length === services.length, { what: 'all containers', timeoutMs: 60_000 });
  await projectInPhase(server.url, { name: 'shop', phase: 'Running' });
  const post = async (path: string, method: 'POST' | 'DELETE' = 'POST'): Promise<unknown> =>
    await callEngineJson({ host: engine.host, method, path: `/containers/cara_shop_${path}` });
  const before = await ids();
  await post('a/stop?t=5');
  await post('b/kill?signal=KILL');
  await post('c?force=1', 'DELETE');
  const eventsOf = async (): Promise<string> => (await caractrl(['events', 'project/shop'], { server: server.url })).stdout;
  const wanted = [
    /Warning +ServiceStopped .*Service a was stopped by someone on the node and exited with code 0/u,
    /Warning +ServiceStopped .*Service b was stopped by someone on the node and exited with code 137 \(SIGKILL\)/u,
    /Warning +ServiceRemoved .*Service c lost its container/u,
    /Warning +ServiceOOMKilled .*Service greedy was killed as it ran out of memory, [23]s after it started \(its limit is 16Mi\)/u,
    /Warning +ServiceExited .*Service crasher exited with code 139 \(SIGSEGV\), [23]s after it started; it is started again/u,
    /Normal +ServiceCompleted .*Service job exited with code 0/u,
  ];
  let seen = '';
  const isAllTold = async (): Promise<boolean> => {
    seen = await eventsOf();
    return wanted.every((pattern) => pattern.test(seen));
  };
  await until(isAllTold, { what: 'all to be told', timeoutMs: 60_000 }).catch(() => assert.fail(`not all is told:\n${seen}`));
  const running = await projectInPhase(server.url, { name: 'shop', phase: 'Running' });
  const after = await ids();
  assert.deepEqual([after['cara_shop_a'], after['cara_shop_b']], [before['cara_shop_a'], before['cara_shop_b']]);
  assert.notEqual(after['cara_shop_c'], before['cara_shop_c']);
  for (const name of ['a', 'b', 'c', 'greedy', 'crasher']) {
    assert.equal(serviceOf(running, name).restarts, 1, name);
  }
  const { stdout } = await caractrl(['describe', 'project', 'shop'], { server: server.url });
  assert.match(stdout, /Last exit: +exited with code 139 \(SIGSEGV\), [23]s after it started, \d+s ago/u);
});

for (const end of ['halt', 'kill'] as const) {
  test(
    `an engine that ends by ${end} and starts: nothing fails, no container is made anew, no restart is counted`,
    { timeout: 180_000 },
    async () => {
      using folder = makeScratch();
      await using engine = await startExtraEngine({ images: 'hello' });
      await using server = await startServer();
      await using _agent = await startAgent({
        serverUrl: server.url,
        engineHost: engine.host,
        nodeName: 'worker-01',
        dataDir: folder.path,
      });
      await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
      const healthCheck = { httpGet: { port: 8080 }, interval: '1s', startPeriod: '60s', startInterval: '200ms' };
      // a killed engine of these tests leaves network namespaces behind, which answer at the addresses of the new containers
      const check = end === 'halt' ? { healthCheck } : {};
      const web = { name: 'web', image: IMAGES.v1.tag, command: ['greeter'], stopGracePeriod: '1s', ...check };
      const plain = shell('plain', 'trap "exit 0" TERM; while :; do sleep 1 & wait $!; done', { restartPolicy: 'OnFailure' });
      const fenced = { onNodeLost: { action: 'Reschedule', after: '5m', fence: true } };
      await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('shop', [web, plain]) });
      await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('safe', [web], fenced) });
      await projectInPhase(server.url, { name: 'shop', phase: 'Running' });
      await projectInPhase(server.url, { name: 'safe', phase: 'Running' });
      const before = (await contentsOf(engine.host)).containers;
      const controller = new AbortController();
      const phases = await followPhases(server.url, controller);
      await engine[end]();
      await nodeInState(server.url, { name: 'worker-01', state: 'NotReady' });
      await engine.start();
      await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
      const isBack = async (name: string): Promise<boolean> => {
        const project = await findObject(server.url, `projects/${name}`);
        const services = (project?.status['services'] ?? []) as readonly ServiceStatus[];
        return project?.status.phase === 'Running' && services.every(({ lastExit }) => lastExit?.reason === 'EngineStopped');
      };
      await until(async () => (await isBack('shop')) && (await isBack('safe')), { what: 'both to be Running again', timeoutMs: 60_000 });
      controller.abort();
      assert.deepEqual((await contentsOf(engine.host)).containers, before);
      const shop = await findObject(server.url, 'projects/shop');
      const safe = await findObject(server.url, 'projects/safe');
      for (const service of [serviceOf(shop, 'web'), serviceOf(shop, 'plain'), serviceOf(safe, 'web')]) {
        assert.deepEqual([service.state, service.restarts], ['Running', 0]);
      }
      assert.ok(!phases.some((phase) => phase.startsWith('Failed')), phases.join(', '));
      const eventsOf = async (): Promise<string> => (await caractrl(['events', 'project/shop'], { server: server.url })).stdout;
      await until(async () => /Normal +ServiceRestarted .*Service web stopped together with the container engine/u.test(await eventsOf()), {
        what: 'the restart to be told',
        timeoutMs: 60_000,
      });
      assert.doesNotMatch(await eventsOf(), /Warning +Service/u);
      await caractrl(['delete', 'project', 'safe'], { server: server.url });
      const lock = path.join(folder.path, GUARD_LOCK);
      await until(() => findPidLockHolder(lock) === undefined, { what: 'the guard of the fence to end', timeoutMs: 60_000 });
    },
  );
}

test('an agent that is stopped for longer than any check may last restarts nothing', { timeout: 120_000 }, async () => {
  await using engine = await startExtraEngine({ images: 'hello' });
  using folder = makeScratch();
  await using server = await startServer();
  await using agent = await startAgent({ serverUrl: server.url, engineHost: engine.host, nodeName: 'worker-01', dataDir: folder.path });
  await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  const healthCheck = { httpGet: { port: 8080 }, interval: '200ms', timeout: '500ms', retries: 1 };
  const web = { name: 'web', image: IMAGES.v1.tag, command: ['greeter'], healthCheck, stopGracePeriod: '1s' };
  await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('shop', [web]) });
  const running = await projectInPhase(server.url, { name: 'shop', phase: 'Running' });
  const controller = new AbortController();
  const phases = await followPhases(server.url, controller);
  const node = await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  for (let round = 0; round < 5; round += 1) {
    process.kill(agent.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1500)); // what is tested is that this much time passes
    process.kill(agent.pid, 'SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.equal(node.status.state, 'Ready');
  await caractrl(['apply', '-f', '-'], { server: server.url, input: manifest('later', [web]) });
  await projectInPhase(server.url, { name: 'later', phase: 'Running' });
  controller.abort();
  const after = await findObject(server.url, 'projects/shop');
  assert.deepEqual(serviceOf(after, 'web'), serviceOf(running, 'web'));
  assert.ok(!phases.some((phase) => phase.startsWith('Failed')), phases.join(', '));
});
