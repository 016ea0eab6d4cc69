import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, ProjectStatus, ServiceStatus } from '../../api/project.ts';
import { explainPhase, judgeProject, projectLines } from './project-progress.ts';

function project(status: Partial<ProjectStatus>): ProjectObject {
  const at = '2026-01-01T00:00:00Z';
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: 'shop', labels: {}, annotations: {}, uid: 'u', resourceVersion: '1', generation: 2, createdAt: at, updatedAt: at },
    spec: { services: [{ name: 'web', image: 'a:1' }] },
    status: { phase: 'Pending', assignment: 0, observedGeneration: 2, services: [], conditions: [], ...status },
  };
}

test('judgeProject() believes a phase only of the spec that was applied', () => {
  assert.deepEqual(judgeProject(project({ phase: 'Running', observedGeneration: 1 }), 2), { kind: 'waiting' });
  assert.deepEqual(judgeProject(project({ phase: 'Failed', observedGeneration: 1 }), 2), { kind: 'waiting' });
  assert.deepEqual(judgeProject(project({ phase: 'Running' }), 2), { kind: 'running' });
  assert.deepEqual(judgeProject(project({ phase: 'Running', observedGeneration: 3 }), 2), { kind: 'running' });
  for (const phase of ['Pending', 'Scheduled', 'Terminating', 'Terminated'] as const) {
    assert.deepEqual(judgeProject(project({ phase }), 2), { kind: 'waiting' }, phase);
  }
});

test('judgeProject() gives reason, message and what each service says, each thing once', () => {
  const services = [
    { name: 'web', state: 'Failed', ready: false, message: 'port 80 is taken' },
    { name: 'db', state: 'Running', ready: true, message: 'fine' },
  ] as const;
  const why = (status: Partial<ProjectStatus>) => {
    const verdict = judgeProject(project({ phase: 'Failed', ...status }), 2);
    return verdict.kind === 'failed' ? verdict.why : verdict.kind;
  };
  assert.equal(why({ reason: 'StartFailed', services }), 'StartFailed; web: port 80 is taken');
  assert.equal(why({ reason: 'StartFailed', message: 'web: port 80 is taken', services }), 'StartFailed: web: port 80 is taken');
  assert.equal(why({}), 'no reason is given');
});

test('explainPhase() tells a Pending one by its Scheduled condition, and any other that its node is out of reach', () => {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const scheduled = {
    type: 'Scheduled',
    status: 'False',
    reason: 'Unschedulable',
    message: '0/1 nodes are available',
    lastTransitionTime,
  } as const;
  const reachable = {
    type: 'NodeReachable',
    status: 'False',
    reason: 'NodeNotReady',
    message: 'worker-01 is silent',
    lastTransitionTime,
  } as const;
  assert.equal(explainPhase(project({ conditions: [scheduled] })), '0/1 nodes are available');
  assert.equal(explainPhase(project({ phase: 'Running', conditions: [reachable] })), 'worker-01 is silent');
  assert.equal(explainPhase(project({ phase: 'Running' })), undefined);
});

test('projectLines() says that a change is under way rather than the state of the spec before', () => {
  const [head] = projectLines(project({ phase: 'Running', observedGeneration: 1, nodeRef: 'worker-01' }), { generation: 2, elapsed: '3s' });
  assert.equal(head?.text, 'project/shop Running on worker-01: bringing up the change');
  assert.equal(head?.live, 'project/shop Running on worker-01, 3s: bringing up the change');
});

test('projectLines() says once what state and message both say', () => {
  const texts = (service: Partial<ServiceStatus>): readonly string[] => {
    const services = [{ name: 'web', state: 'Waiting', ready: false, ...service } as const];
    return projectLines(project({ phase: 'Scheduled', services }), { generation: 2, elapsed: '1s' }).map(({ text }) => text);
  };
  assert.equal(texts({ message: 'Waiting for db to be healthy' })[1], 'project/shop web: Waiting for db to be healthy');
  assert.equal(texts({ state: 'Restarting', message: 'The container ended' })[1], 'project/shop web: Restarting: The container ended');
  assert.equal(texts({})[1], 'project/shop web: Waiting');
});
