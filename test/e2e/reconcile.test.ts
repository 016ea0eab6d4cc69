/** The reconciler on a real engine: what only an engine can show. Run with: npm run test:e2e -- reconcile */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { LABEL } from '../../src/agent/docker/names.ts';
import type { ProjectObject, Service } from '../../src/api/project.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { makeProject, type ProjectOptions } from '../support/objects/projects.ts';
import { LiveReconciler } from '../support/worlds/reconcile-live.ts';
import { fetchPage } from '../support/programs/seen.ts';

const HOST = testEngine();
const CLUSTER = randomUUID();
const HOST_PORT = 18_471;
const BUSY_PORT = 18_472;

const GREETER: Service = {
  name: 'greeter',
  image: IMAGES.v1.tag,
  command: ['greeter'],
  healthCheck: { test: ['CMD', '/bin/busybox', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1:8080/'], interval: '1s', retries: 5 },
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
  resources: { limits: { memory: '64Mi', cpu: '500m' } },
  stopGracePeriod: '2s',
};
const WEB: Service = {
  name: 'web',
  image: IMAGES.v1.tag,
  command: ['web'],
  ports: [{ containerPort: 8080, hostPort: HOST_PORT }],
  dependsOn: [{ service: 'greeter', condition: 'Healthy' }],
  stopGracePeriod: '2s',
};

function inn(options: ProjectOptions = {}): ProjectObject {
  const volumes = [{ name: 'data' }, { name: 'keep', type: 'Managed' as const }];
  return makeProject({ name: 'rc-inn', uid: CLUSTER, services: [WEB, GREETER], volumes, ...options });
}

/** A service that runs a line of shell. */
function shell(name: string, line: string, more: Partial<Service> = {}): Service {
  return { name, image: IMAGES.v1.tag, entrypoint: ['/bin/sh', '-c'], command: [line], stopGracePeriod: '1s', ...more };
}

async function post(path: string, method: 'POST' | 'DELETE' = 'POST', body?: object): Promise<unknown> {
  const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return await callEngineJson({ host: HOST, method, path, ...content });
}

async function tearDown(live: LiveReconciler, project: ProjectObject): Promise<void> {
  const deleted = { ...project, metadata: { ...project.metadata, deletedAt: '2026-01-01T00:00:00Z' } };
  live.reconciler.upsert({ project: deleted });
  await live.untilPhase('Terminated', deleted);
}

/** It has no health check: that it runs does not mean that it listens. */
async function page(): Promise<string> {
  return await fetchPage(`http://127.0.0.1:${HOST_PORT}/cgi-bin/index.cgi`);
}

test('a Project of two services serves, is adopted after a crash of the agent, changes in place and goes', async () => {
  const first = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  first.assign(inn());
  const running = await first.untilPhase('Running', inn());
  assert.deepEqual(
    running.services?.map(({ name, ready }) => [name, ready]),
    [
      ['greeter', true],
      ['web', true],
    ],
  );
  assert.match(await page(), new RegExp(IMAGES.v1.greeting, 'u'));
  const limits = (await callEngineJson({ host: HOST, path: '/containers/cara_rc-inn_greeter/json' })) as {
    HostConfig: { Memory: number; NanoCpus: number; RestartPolicy: { Name: string } };
  };
  assert.deepEqual([limits.HostConfig.Memory, limits.HostConfig.NanoCpus], [64 * 2 ** 20, 500_000_000]);
  assert.equal(limits.HostConfig.RestartPolicy.Name, 'unless-stopped');
  await first.crash();
  const before = await contentsOf(HOST, 'cara_rc-inn');

  await using second = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  second.assign(inn({ assignment: 2 }));
  await second.untilPhase('Running', inn());
  assert.deepEqual((await contentsOf(HOST, 'cara_rc-inn')).containers, before.containers);

  const changed = inn({ generation: 2, services: [WEB, { ...GREETER, image: IMAGES.v2.tag }] });
  second.reconciler.upsert({ project: changed });
  await second.untilPhase('Running', changed);
  assert.match(await page(), new RegExp(IMAGES.v2.greeting, 'u'));
  const now = await contentsOf(HOST, 'cara_rc-inn');
  assert.equal(now.containers['cara_rc-inn_web'], before.containers['cara_rc-inn_web']);
  assert.notEqual(now.containers['cara_rc-inn_greeter'], before.containers['cara_rc-inn_greeter']);

  await tearDown(second, changed);
  assert.deepEqual(await contentsOf(HOST, 'cara_rc-inn'), { containers: {}, networks: [], volumes: ['cara_rc-inn_keep'] });
  await post('/volumes/cara_rc-inn_keep', 'DELETE');
});

test('what someone stops or removes by hand is put right', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({
    name: 'rc-hand',
    uid: randomUUID(),
    services: [shell('a', 'trap "exit 0" TERM; while :; do sleep 1; done')],
  });
  live.assign(project);
  await live.untilPhase('Running', project);
  const id = (await live.inspect('rc-hand', 'a'))?.id;
  await post('/containers/cara_rc-hand_a/stop?t=1');
  await until(async () => (await live.inspect('rc-hand', 'a'))?.state.isRunning, {
    what: 'the stopped container to run',
    timeoutMs: 60_000,
  });
  assert.equal((await live.inspect('rc-hand', 'a'))?.id, id);
  await post('/containers/cara_rc-hand_a?force=1', 'DELETE');
  await until(async () => (await live.inspect('rc-hand', 'a'))?.state.isRunning, {
    what: 'the removed container to run',
    timeoutMs: 60_000,
  });
  assert.notEqual((await live.inspect('rc-hand', 'a'))?.id, id);
  await live.untilPhase('Running', project);
  await tearDown(live, project);
});

test('of two networks of one name the one that containers know stays, and they can be made again', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({ name: 'rc-double', uid: randomUUID(), services: [shell('a', 'exec /bin/busybox sleep 3600')] });
  live.assign(project);
  await live.untilPhase('Running', project);
  const networks = async () => {
    const all = (await callEngineJson({ host: HOST, path: '/networks' })) as { Id: string; Name: string; Labels: object }[];
    return all.filter(({ Name }) => Name === 'cara_rc-double');
  };
  const [own] = await networks();
  // Without CheckDuplicate, as an engine that ends a creation late which it began before the other.
  await post('/networks/create', 'POST', { Name: own?.Name, Labels: own?.Labels });
  assert.equal((await networks()).length, 2);
  await post('/containers/cara_rc-double_a?force=1', 'DELETE');
  await until(async () => (await live.inspect('rc-double', 'a'))?.state.isRunning, {
    what: 'the removed container to run',
    timeoutMs: 60_000,
  });
  assert.equal((await networks()).length, 1);
  await live.untilPhase('Running', project);
  await tearDown(live, project);
});

test('a service that keeps crashing is called a crash loop, with its restarts and exit code', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({ name: 'rc-loop', uid: randomUUID(), services: [shell('a', 'exit 3')] });
  live.assign(project);
  const failed = await live.untilPhase('Failed', project);
  assert.equal(failed.reason, 'CrashLoop');
  assert.match(failed.message ?? '', /^a: The container ended with code 3; the engine has restarted it \d+ times in a row$/u);
  await tearDown(live, project);
});

test('jobs complete once and are not run again, and a dependent waits for them', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({
    name: 'rc-job',
    uid: randomUUID(),
    services: [
      shell('reader', 'test -f /d/made && sleep 3600', {
        volumeMounts: [{ name: 'd', mountPath: '/d' }],
        dependsOn: [{ service: 'maker', condition: 'Completed' }],
        restartPolicy: 'Never',
      }),
      shell('maker', 'sleep 1; echo x >> /d/made', { volumeMounts: [{ name: 'd', mountPath: '/d' }], restartPolicy: 'OnFailure' }),
    ],
    volumes: [{ name: 'd' }],
  });
  live.assign(project);
  const report = await live.untilPhase('Running', project);
  assert.deepEqual(
    report.services?.map(({ name, state }) => [name, state]),
    [
      ['maker', 'Completed'],
      ['reader', 'Running'],
    ],
  );
  await tearDown(live, project);
  assert.deepEqual(await contentsOf(HOST, 'cara_rc-job'), { containers: {}, networks: [], volumes: [] });
});

test('what cannot work says why in the words of the engine: image, port, program', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const sleeper = shell('a', 'sleep 3600', { ports: [{ containerPort: 1, hostPort: BUSY_PORT }] });
  const holder = makeProject({ name: 'rc-holder', uid: randomUUID(), services: [sleeper] });
  const cases: readonly (readonly [string, Service, string])[] = [
    ['rc-image', { name: 'a', image: 'localhost:1/none:1' }, 'ImagePullFailed'],
    ['rc-port', sleeper, 'PortInUse'],
    ['rc-program', { name: 'a', image: IMAGES.v1.tag, entrypoint: ['/no/such'] }, 'StartFailed'],
  ];
  live.assign(holder);
  await live.untilPhase('Running', holder);
  const projects = cases.map(([name, service]) => makeProject({ name, uid: randomUUID(), services: [service] }));
  live.assign(holder, ...projects);
  for (const [index, [name, , reason]] of cases.entries()) {
    const report = await live.untilPhase('Failed', projects[index] ?? assert.fail());
    assert.equal(report.reason, reason, `${name}: ${report.message}`);
  }
  await tearDown(live, holder);
  await live.untilPhase('Running', projects[1] ?? assert.fail(), 70_000);
  for (const project of projects) {
    await tearDown(live, project);
  }
});

test('a network that was pruned under stopped containers comes back, and the containers with it', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({ name: 'rc-net', uid: randomUUID(), services: [shell('a', 'sleep 3600')] });
  live.assign(project);
  await live.untilPhase('Running', project);
  await live.crash();
  await post('/containers/cara_rc-net_a/stop?t=0');
  await post('/networks/cara_rc-net', 'DELETE');
  await using next = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  next.assign(project);
  await next.untilPhase('Running', project);
  await tearDown(next, project);
});

test('a container of another cluster under the name that is needed is left alone', async () => {
  const labels = { [LABEL.cluster]: 'someone-else', [LABEL.project]: 'rc-other' };
  await post('/containers/create?name=cara_rc-other_a', 'POST', { Image: IMAGES.v1.tag, Labels: labels });
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const project = makeProject({ name: 'rc-other', uid: randomUUID(), services: [shell('a', 'sleep 3600')] });
  live.assign(project);
  const failed = await live.untilPhase('Failed', project);
  assert.equal(failed.reason, 'NameTaken');
  await tearDown(live, project);
  assert.deepEqual(Object.keys((await contentsOf(HOST, 'cara_rc-other')).containers), ['cara_rc-other_a']);
  await post('/containers/cara_rc-other_a', 'DELETE');
});
