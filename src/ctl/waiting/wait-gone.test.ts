import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import { describeHold } from './wait-gone.ts';

const AT = '2026-01-01T00:00:00Z';
const META = { labels: {}, annotations: {}, uid: 'u', resourceVersion: '1', generation: 1, createdAt: AT, updatedAt: AT };

function project(status: Partial<ProjectStatus>): ProjectObject {
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: 'shop', ...META },
    spec: { services: [] },
    status: { phase: 'Terminating', nodeRef: 'worker-01', assignment: 1, observedGeneration: 1, services: [], conditions: [], ...status },
  };
}

function node(state: 'Ready' | 'NotReady'): NodeObject {
  const conditions = [{ type: 'Ready', status: 'Unknown', reason: 'NoHeartbeat', message: '', lastTransitionTime: AT }] as const;
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Node',
    metadata: { name: 'worker-01', ...META },
    spec: { unschedulable: false },
    status: { state, conditions },
  };
}

test('describeHold() names the services that still go, on a node that answers', () => {
  const services = [
    { name: 'web', state: 'Stopping', ready: false, message: 'SIGKILL in 4s' },
    { name: 'db', state: 'Running', ready: true },
  ] as const;
  assert.equal(describeHold(project({ services }), node('Ready')), 'web Stopping (SIGKILL in 4s), db Running');
  assert.equal(describeHold(project({}), node('Ready')), 'waits for its node to confirm');
});

test('describeHold() says since when the node is silent and what ends the wait', () => {
  const hold = describeHold(project({ services: [{ name: 'web', state: 'Running', ready: true }] }), node('NotReady'));
  assert.match(
    hold,
    /^waits for node worker-01, NotReady since 2026-01-01T00:00:00Z; .*PROJECT_TERMINATION_TIMEOUT .* or at once with --force$/u,
  );
  assert.match(describeHold(project({}), 'gone'), /^its node worker-01 no longer exists; .* --force$/u);
});
