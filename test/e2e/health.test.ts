/** Health checks on a real engine: those that the agent runs, for images that have no shell. Run with: npm run test:e2e -- health */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { findBusybox } from '../../scripts/lib/busybox.ts';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { buildImage } from '../../scripts/lib/image.ts';
import { until } from '../../scripts/lib/wait.ts';
import type { ProjectObject, Service } from '../../src/api/project.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeProject } from '../support/objects/projects.ts';
import { LiveReconciler } from '../support/worlds/reconcile-live.ts';

const HOST = testEngine();
const CLUSTER = randomUUID();
const CACHE = path.join(import.meta.dirname, '../../node_modules/.cache/caravanserai');

/** One static program that serves files, and nothing else: no shell, no wget. */
const BARE = 'caravanserai/bare:1';

before(async () => {
  const busybox = (await findBusybox(CACHE)) ?? assert.fail('no static busybox');
  await buildImage({
    engineHost: HOST,
    tag: BARE,
    dockerfile: 'FROM scratch\nCOPY rootfs/ /\nENTRYPOINT ["/httpd", "-f", "-p", "8080", "-h", "/www"]\n',
    files: { 'rootfs/httpd': { content: readFileSync(busybox), mode: 0o755 }, 'rootfs/www/ready': { content: 'yes\n' } },
  });
});

after(async () => {
  const left = await contentsOf(HOST, 'cara_hc-');
  const remove = async (kind: string, name: string): Promise<unknown> =>
    await callEngineJson({ host: HOST, method: 'DELETE', path: `/${kind}/${name}?force=1` });
  await Promise.all(Object.keys(left.containers).map(async (name) => await remove('containers', name)));
  await Promise.all(left.networks.map(async (name) => await remove('networks', name)));
});

async function tearDown(live: LiveReconciler, project: ProjectObject): Promise<void> {
  const deleted = { ...project, metadata: { ...project.metadata, deletedAt: '2026-01-01T00:00:00Z' } };
  live.reconciler.upsert({ project: deleted });
  await live.untilPhase('Terminated', deleted);
}

const WEB: Service = {
  name: 'web',
  image: BARE,
  healthCheck: { httpGet: { port: 8080, path: '/ready' }, interval: '1s', retries: 2 },
  stopGracePeriod: '1s',
};

test('an image without a shell is Running by a check of the agent, and what depends on its health waits for that', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const api: Service = {
    name: 'api',
    image: BARE,
    healthCheck: { tcpSocket: { port: 8080 }, interval: '1s' },
    dependsOn: [{ service: 'web', condition: 'Healthy' }],
    stopGracePeriod: '1s',
  };
  const project = makeProject({ name: 'hc-bare', uid: randomUUID(), services: [api, WEB] });
  live.assign(project);
  const report = await live.untilPhase('Running', project);
  assert.deepEqual(
    report.services?.map(({ name, ready }) => [name, ready]),
    [
      ['web', true],
      ['api', true],
    ],
  );
  const waiting = live.reports.some(({ report: { services } }) =>
    services?.some(({ name, state }) => name === 'api' && state === 'Waiting'),
  );
  assert.ok(waiting, 'api waited for web');
  await tearDown(live, project);
});

test('a service whose check never passes is not Running, and says what the check saw', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const web = { ...WEB, healthCheck: { ...WEB.healthCheck, httpGet: { port: 8080, path: '/missing' } } };
  const project = makeProject({ name: 'hc-never', uid: randomUUID(), services: [web] });
  live.assign(project);
  const failed = await live.untilPhase('Failed', project);
  assert.equal(failed.reason, 'Unhealthy');
  assert.match(failed.message ?? '', /GET http:\/\/[0-9.]+:8080\/missing answered 404 Not Found/u);
  await tearDown(live, project);
});

test('a service that turns unhealthy is restarted, ever more slowly, and shown as unhealthy', async () => {
  await using live = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  const sick: Service = {
    name: 'web',
    image: IMAGES.v1.tag,
    entrypoint: ['/bin/sh', '-c'],
    command: ['mkdir /tmp/www; echo yes > /tmp/www/ready; httpd -p 8080 -h /tmp/www; sleep 1; rm /tmp/www/ready; sleep 600'],
    tmpfs: [{ mountPath: '/tmp' }],
    healthCheck: { httpGet: { port: 8080, path: '/ready' }, interval: '200ms', retries: 2 },
    stopGracePeriod: '0s',
  };
  const project = makeProject({ name: 'hc-sick', uid: randomUUID(), services: [sick] });
  live.assign(project);
  await live.untilPhase('Running', project);
  const { id } = (await live.inspect('hc-sick', 'web')) ?? assert.fail();
  const told = await live.untilPhase('Failed', project);
  assert.equal(told.reason, 'Unhealthy');
  assert.match(told.message ?? '', /answered 404 Not Found.*it is being restarted/u);
  await until(() => (live.latest('hc-sick')?.services?.[0]?.restarts ?? 0) >= 3, { what: 'three restarts', timeoutMs: 60_000 });
  const service = live.latest('hc-sick')?.services?.[0];
  assert.equal(service?.containerId, id);
  assert.equal(service.lastExit?.reason, 'Unhealthy');
  await tearDown(live, project);
});

test('a restarted agent neither restarts what is healthy nor says that it is not', async () => {
  const project = makeProject({ name: 'hc-again', uid: randomUUID(), services: [WEB] });
  const first = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  first.assign(project);
  const { services = [] } = await first.untilPhase('Running', project);
  await first.crash();
  await using second = new LiveReconciler({ host: HOST, clusterId: CLUSTER });
  second.assign({ ...project, status: { ...project.status, phase: 'Running', services } });
  await second.untilPhase('Running', project);
  assert.deepEqual([...new Set(second.reports.map(({ report }) => report.phase))], ['Running']);
  assert.deepEqual(second.latest('hc-again')?.services, services);
  await tearDown(second, project);
});

test('an agent that does not reach the containers says so, and restarts none', { timeout: 120_000 }, async () => {
  await using engine = await startExtraEngine({ network: 'own', images: 'hello' }); // its socket is here, its networks are not
  await using live = new LiveReconciler({ host: engine.host, clusterId: CLUSTER });
  const healthCheck = { httpGet: { port: 8080 }, interval: '100ms', timeout: '500ms', retries: 1 };
  const web: Service = { name: 'web', image: IMAGES.v1.tag, command: ['greeter'], healthCheck, stopGracePeriod: '0s' };
  const project = makeProject({ name: 'hc-far', uid: randomUUID(), services: [web] });
  live.assign(project);
  const failed = await live.untilPhase('Failed', project);
  assert.equal(failed.reason, 'HealthCheckImpossible');
  assert.match(failed.message ?? '', /^web: The agent does not reach the container at [0-9.]+, .*give the service a healthCheck\.test/u);
  assert.equal(failed.services?.[0]?.restarts, 0);
  await tearDown(live, project);
});

test('the example of all kinds of checks runs, and describe shows them', { timeout: 120_000 }, async () => {
  await using server = await startServer();
  await using _agent = await startAgent({ serverUrl: server.url, engineHost: HOST, nodeName: 'worker-01' });
  const file = path.join(import.meta.dirname, '../../examples/health/project.yaml');
  const applied = await caractrl(['apply', '--wait', '-f', file], { server: server.url });
  assert.equal(applied.code, 0, applied.stderr);
  const { stdout } = await caractrl(['describe', 'project', 'health'], { server: server.url });
  assert.match(
    stdout,
    /^ +Health check: +GET \/cgi-bin\/index\.cgi on port 8080 by the agent, every 5s, timeout 3s, 3 retries, start period 10s$/mu,
  );
  assert.equal(stdout.match(/^ +Health: +Healthy$/gmu)?.length, 3);
  assert.equal((await caractrl(['delete', 'project', 'health'], { server: server.url })).code, 0);
});
