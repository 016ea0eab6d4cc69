import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { describeProject } from './describe-project.ts';

const SCREEN = { hasColor: false };

test('describeProject() gives the reason a line of its own, and not again in the message', () => {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1' }] });
  const failed = {
    ...project,
    status: { ...project.status, phase: 'Failed', reason: 'PortInUse', message: 'web: port 80 is taken' } as const,
  };
  const lines = describeProject(failed, { screen: SCREEN, nowMs: 0 }).split('\n');
  assert.ok(
    lines.some((line) => /^Reason: +PortInUse$/u.test(line)),
    lines.join('\n'),
  );
  assert.ok(
    lines.some((line) => /^Message: +web: port 80 is taken$/u.test(line)),
    lines.join('\n'),
  );
});

test('describeProject() shows a move that is under way, and none otherwise', () => {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1' }] });
  const move = { from: 'worker-01', to: 'worker-02', requestedAt: '2026-01-01T00:00:00.000Z' };
  const show = (status: object): string =>
    describeProject({ ...project, status: { ...project.status, ...status } }, { screen: SCREEN, nowMs: Date.UTC(2026, 0, 1, 0, 0, 5) });
  assert.match(show({ move }), /^Moving: +from worker-01 to worker-02, asked for at 2026-01-01T00:00:00\.000Z \(5s ago\)$/mu);
  assert.match(show({ move: { ...move, to: undefined } }), /^Moving: +from worker-01 to another node, /mu);
  assert.doesNotMatch(show({}), /Moving/u);
});

test('describeProject() shows the health of a service, what is checked, and its last exit', () => {
  const healthCheck = { httpGet: { port: 8080, path: '/ready' }, interval: '5s', retries: 2 };
  const project = makeProject({ services: [{ name: 'web', image: 'web:1', healthCheck }] });
  const health = { state: 'Unhealthy', output: 'GET http://10.0.0.2:8080/ready answered 503 Service Unavailable' } as const;
  const startedAt = '2026-01-01T00:00:00Z';
  const lastExit = { reason: 'Exited', exitCode: 137, startedAt, finishedAt: '2026-01-01T00:00:03Z' } as const;
  const service = { name: 'web', state: 'Unhealthy', ready: false, restarts: 2, health, lastExit } as const;
  const nowMs = Date.UTC(2026, 0, 1, 0, 5, 3);
  const text = describeProject({ ...project, status: { ...project.status, services: [service] } }, { screen: SCREEN, nowMs });
  assert.match(text, /^ +Health: +Unhealthy: GET http:\/\/10\.0\.0\.2:8080\/ready answered 503 Service Unavailable$/mu);
  assert.match(text, /^ +Health check: +GET \/ready on port 8080 by the agent, every 5s, 2 retries$/mu);
  assert.match(text, /^ +Last exit: +exited with code 137 \(SIGKILL\), 3s after it started, 5m ago$/mu);
});

test('describeProject() says of a Project that was rolled back that it is not up to date, and whose settings are shown', () => {
  const resources = { requests: { cpu: '100m', memory: '32Mi' }, limits: { memory: '64Mi' } };
  const project = makeProject({ generation: 6, services: [{ name: 'web', image: 'web:2', resources, stopGracePeriod: '3s' }] });
  const startedAt = '2026-01-01T00:00:00.123456789Z';
  const service = { name: 'web', state: 'Running', ready: true, startedAt } as const;
  const status = { ...project.status, phase: 'Failed', reason: 'RolledBack', goodGeneration: 5, observedGeneration: 6 } as const;
  const text = describeProject(
    { ...project, status: { ...status, services: [service] } },
    { screen: SCREEN, nowMs: Date.UTC(2026, 0, 1, 0, 1) },
  );
  assert.match(text, /^Up to date: +no: generation 6 was tried and rolled back$/mu);
  assert.match(text, /^Runs: +revision 5, while 6 is asked for, whose settings are shown below$/mu);
  assert.match(text, /^ +Started: +2026-01-01T00:00:00\.123Z \(59s ago\)$/mu);
  assert.match(text, /^ +Resources: +asks for cpu=100m, memory=32Mi\n +is limited to memory=64Mi$/mu);
  assert.match(text, /^ +Options: +is given 3s to stop$/mu);
});

test('describeProject() says when a Project expires, by the earlier of ttl and expireAt', () => {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1' }] });
  const createdAt = '2026-01-01T00:00:00.000Z';
  const show = (spec: object): string =>
    describeProject(
      { ...project, metadata: { ...project.metadata, createdAt }, spec: { ...project.spec, ...spec } },
      { screen: SCREEN, nowMs: Date.UTC(2026, 0, 1, 0, 30) },
    );
  assert.match(show({ ttl: '1h' }), /^Expires: +2026-01-01T01:00:00\.000Z \(in 30m; ttl 1h\)$/mu);
  assert.match(show({ expireAt: '2026-01-02T00:00:00Z' }), /^Expires: +2026-01-02T00:00:00\.000Z \(in 23h30m\)$/mu);
  assert.match(show({ ttl: '10m' }), /^Expires: +2026-01-01T00:10:00\.000Z \(now; ttl 10m\)$/mu);
  assert.doesNotMatch(show({}), /Expires/u);
});
