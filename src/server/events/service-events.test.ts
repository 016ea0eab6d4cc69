import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, ServiceStatus } from '../../api/project.ts';
import type { ServiceExit } from '../../api/project/service-exit.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { keyOf } from './event-fact.ts';
import { eventsOfProjectChange } from './project-events.ts';

const WEB: ServiceStatus = { name: 'web', state: 'Running', ready: true };

function shopWith(services: readonly Partial<ServiceStatus>[], status: Partial<ProjectObject['status']> = {}): ProjectObject {
  const spec = [
    { name: 'web', image: 'web:1', resources: { limits: { memory: '64Mi' } } },
    { name: 'db', image: 'db:1' },
  ];
  const project = makeProject({ services: spec });
  return { ...project, status: { ...project.status, ...status, services: services.map((service) => ({ ...WEB, ...service })) } };
}

function told(next: Partial<ServiceStatus>, previous: Partial<ServiceStatus> = {}): readonly string[] {
  return eventsOfProjectChange(shopWith([previous]), shopWith([next])).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

function exit(reason: ServiceExit['reason'], exitCode?: number): ServiceExit {
  const times = { startedAt: '2026-01-01T08:00:00.1Z', finishedAt: '2026-01-01T08:00:03Z' };
  return { reason, ...times, ...(exitCode !== undefined && { exitCode }) };
}

test('each end that nobody asked for is told with what is known of it', () => {
  assert.deepEqual(told({ lastExit: exit('Exited', 137) }), [
    'Warning ServiceExited: Service web exited with code 137 (SIGKILL), 3s after it started; it is started again',
  ]);
  assert.deepEqual(told({ lastExit: exit('Exited', 3), state: 'Failed' }), [
    'Warning ServiceExited: Service web exited with code 3, 3s after it started',
  ]);
  assert.deepEqual(told({ lastExit: exit('Exited', 0), state: 'Completed' }), [
    'Normal ServiceCompleted: Service web exited with code 0, 3s after it started',
  ]);
  assert.deepEqual(told({ lastExit: exit('OOMKilled', 137) }), [
    'Warning ServiceOOMKilled: Service web was killed as it ran out of memory, 3s after it started (its limit is 64Mi); it is started again',
  ]);
  assert.deepEqual(told({ lastExit: exit('Stopped', 143) }), [
    'Warning ServiceStopped: Service web was stopped by someone on the node and exited with code 143 (SIGTERM), 3s after it started; it is started again',
  ]);
  assert.deepEqual(told({ lastExit: exit('Removed') }), [
    'Warning ServiceRemoved: Service web lost its container, which someone on the node removed, 3s after it started; it is started again',
  ]);
  assert.deepEqual(told({ lastExit: exit('EngineStopped', 143) }), [
    'Normal ServiceRestarted: Service web stopped together with the container engine of the node; it is started again',
  ]);
});

test('an end is told once, also where more of it becomes known', () => {
  assert.deepEqual(told({ lastExit: exit('Exited', 1) }, { lastExit: exit('Exited') }), []);
});

test('a service that turns unhealthy is told with what its check said, and not a second time as the phase that follows', () => {
  const sick = { health: { state: 'Unhealthy', output: 'GET http://10.0.0.2:80/ answered 503' } } as const;
  const before = shopWith([{ health: { state: 'Healthy' } }], { phase: 'Running' });
  const after = shopWith([sick], { phase: 'Failed', reason: 'Unhealthy', message: 'web: Its health check fails' });
  assert.deepEqual(
    eventsOfProjectChange(before, after).map(({ reason, message }) => `${reason}: ${message}`),
    ['ServiceUnhealthy: Service web fails its health check: GET http://10.0.0.2:80/ answered 503'],
  );
  assert.deepEqual(told(sick, sick), []);
});

test('what is first heard of a service is no news', () => {
  assert.deepEqual(eventsOfProjectChange(shopWith([]), shopWith([{ lastExit: exit('Exited', 1) }])), []);
});

test('each service has Events of its own', () => {
  const facts = eventsOfProjectChange(
    shopWith([{}, { name: 'db' }]),
    shopWith([{ lastExit: exit('Exited', 1) }, { name: 'db', lastExit: exit('Exited', 1) }]),
  );
  assert.equal(new Set(facts.map(keyOf)).size, 2);
});
