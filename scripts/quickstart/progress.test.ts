import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, ProjectStatus } from '../../src/api/project.ts';
import { describeProgress } from './progress.ts';

const projectWith = (status: Partial<ProjectStatus>): ProjectObject => ({
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name: 'hello', uid: 'u', resourceVersion: '1', generation: 1, createdAt: '', updatedAt: '', labels: {}, annotations: {} },
  spec: { services: [] },
  status: { phase: 'Pending', assignment: 0, observedGeneration: 0, services: [], conditions: [], ...status },
});

test('describeProgress() tells why a Project has no node', () => {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const conditions = [
    { type: 'Scheduled', status: 'False', reason: 'NoNodes', message: '0/0 nodes are available', lastTransitionTime },
  ] as const;
  assert.deepEqual(describeProgress(projectWith({ conditions })), { phase: 'Pending', detail: '0/0 nodes are available' });
  assert.deepEqual(describeProgress(projectWith({})), { phase: 'Pending', detail: 'waiting for a node' });
});

test('describeProgress() tells what the agent does for each service', () => {
  const services = [
    { name: 'greeter', state: 'Starting', ready: false, message: 'not worth telling' },
    { name: 'web', state: 'Waiting', ready: false, message: 'for greeter to be Healthy' },
  ] as const;
  assert.deepEqual(describeProgress(projectWith({ phase: 'Scheduled', nodeRef: 'vm', services })), {
    phase: 'Scheduled',
    detail: 'on vm · greeter Starting · web Waiting (for greeter to be Healthy)',
  });
});

test('describeProgress() ends a failure with its message', () => {
  assert.equal(describeProgress(projectWith({ phase: 'Failed', nodeRef: 'vm', message: 'no such image' })).detail, 'on vm · no such image');
});
