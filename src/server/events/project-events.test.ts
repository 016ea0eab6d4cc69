import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import {
  bind,
  enter,
  initialStatus,
  markLost,
  markReachable,
  markUnreachable,
  markUnschedulable,
  settle,
  terminate,
  unbind,
  markExpiring,
} from '../projects/project-status.ts';
import { leave, requestMove } from '../projects/project-move.ts';
import { projectOf } from '../../../test/support/objects/resources.ts';
import { eventsOfProjectChange } from './project-events.ts';

const MORNING_MS = Date.UTC(2026, 0, 1, 8);

function at(seconds: number): string {
  return new Date(MORNING_MS + seconds * 1000).toISOString();
}

function to(project: ProjectObject, status: ProjectStatus, updatedAt = at(0)): ProjectObject {
  return { ...project, metadata: { ...project.metadata, updatedAt }, status };
}

const PENDING = to(projectOf('shop'), initialStatus(at(0)));
const SCHEDULED = to(PENDING, bind(PENDING, 'worker-01', at(1)));
const RUNNING = to(SCHEDULED, settle(enter({ ...SCHEDULED.status, observedGeneration: 1 }, 'Running'), 1, at(13)));

function failed(project: ProjectObject, reason: string, message: string): ProjectObject {
  return to(project, settle(enter(project.status, 'Failed', { reason, message }), 1, at(20)));
}

function told(previous: ProjectObject | undefined, next: ProjectObject | undefined): readonly string[] {
  return eventsOfProjectChange(previous, next).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

test('eventsOfProjectChange() tells the way from apply to Running, with the time it took', () => {
  assert.deepEqual(told(undefined, PENDING), []);
  assert.deepEqual(told(PENDING, SCHEDULED), ['Normal Scheduled: Placed on worker-01 (assignment 1)']);
  assert.deepEqual(told(SCHEDULED, RUNNING), ['Normal Running: Every service is ready on worker-01 after 13s']);
  assert.deepEqual(told(undefined, RUNNING), [
    'Normal Scheduled: Placed on worker-01 (assignment 1)',
    'Normal Running: Every service is ready on worker-01',
  ]);
  assert.deepEqual(told(RUNNING, to(RUNNING, RUNNING.status, at(99))), []);
});

test('eventsOfProjectChange() tells a move from the request over the confirmed stop to the next node, none of it as a failure', () => {
  const leaving = to(RUNNING, requestMove(RUNNING, { from: 'worker-01', to: 'worker-02', requestedAt: at(20) }, at(20)));
  const left = to(leaving, leave(leaving, at(25)));
  const bound = to(left, bind(left, 'worker-02', at(26)));
  assert.deepEqual(told(RUNNING, leaving), ['Normal Moving: Asked to leave worker-01 for worker-02: the agent there stops it first']);
  assert.deepEqual(told(leaving, to(leaving, leaving.status, at(21))), []);
  assert.deepEqual(told(leaving, left), ['Normal Left: The agent on worker-01 confirmed that it is stopped and removed']);
  assert.deepEqual(told(left, bound), ['Normal Scheduled: Placed on worker-02 (assignment 2)']);
});

test('eventsOfProjectChange() tells why no node takes it, again when that changes', () => {
  const first = to(PENDING, markUnschedulable(PENDING, '0/1 nodes are available: 1 is Draining', at(2)));
  const second = to(first, markUnschedulable(first, '0/2 nodes are available: 2 are Draining', at(3)));
  assert.deepEqual(told(PENDING, first), ['Warning FailedScheduling: 0/1 nodes are available: 1 is Draining']);
  assert.deepEqual(told(first, second), ['Warning FailedScheduling: 0/2 nodes are available: 2 are Draining']);
  assert.deepEqual(told(second, second), []);
  assert.deepEqual(told(second, to(second, bind(second, 'worker-01', at(4)))), ['Normal Scheduled: Placed on worker-01 (assignment 1)']);
});

test('eventsOfProjectChange() tells a failure under its own reason, so that the next one does not overwrite it, again when these change', () => {
  const pull = failed(RUNNING, 'ImagePullFailed', 'cannot pull shop/web:4');
  const exit = failed(pull, 'Exited', 'web exited with 1');
  assert.deepEqual(told(RUNNING, pull), ['Warning ImagePullFailed: cannot pull shop/web:4']);
  assert.deepEqual(told(pull, exit), ['Warning Exited: web exited with 1']);
  const mute = to(RUNNING, settle(enter(RUNNING.status, 'Failed'), 1, at(20)));
  assert.deepEqual(told(RUNNING, mute), ['Warning Failed: A service cannot be brought up']);
  assert.deepEqual(told(pull, to(pull, { ...pull.status, observedGeneration: 2 })), []);
});

test('eventsOfProjectChange() tells that the node is out of reach, back, and given up', () => {
  const away = to(RUNNING, markUnreachable(RUNNING, { reason: 'NodeNotReady', message: 'Node worker-01 is NotReady' }, at(100)));
  const back = to(away, markReachable(away, at(163)), at(163));
  const lost = to(away, markLost(away, 'Node worker-01 has no record any more', at(200)));
  assert.deepEqual(told(RUNNING, away), ['Warning NodeUnreachable: Node worker-01 is NotReady']);
  assert.deepEqual(told(away, back), ['Normal NodeReachable: Node worker-01 is back after 1m3s']);
  assert.deepEqual(told(away, lost), ['Warning NodeLost: Node worker-01 has no record any more']);
});

test('eventsOfProjectChange() tells that it moves, without calling the old node reachable', () => {
  const away = to(RUNNING, markUnreachable(RUNNING, { reason: 'NodeNotReady', message: 'Node worker-01 is NotReady' }, at(100)));
  const given = to(away, unbind(away, 'Node worker-01 was lost: looking for another', at(280)));
  const moved = to(given, bind(given, 'worker-02', at(281)));
  assert.deepEqual(told(away, given), ['Warning NodeLost: Node worker-01 was lost: looking for another']);
  assert.deepEqual(told(given, moved), ['Normal Scheduled: Placed on worker-02 (assignment 2)']);
  assert.deepEqual(told(away, to(away, bind(away, 'worker-02', at(281)))), [
    'Normal Scheduled: Placed on worker-02, moved from worker-01 (assignment 2)',
  ]);
});

test('eventsOfProjectChange() tells deletion, its end, and that time was up', () => {
  const asked = terminate(RUNNING, { reason: 'Deleted', message: 'Deletion was asked for' }, at(300));
  const expired = terminate(RUNNING, { reason: 'Expired', message: 'Its time was up at 2026-01-01T08:05:00.000Z' }, at(300));
  assert.deepEqual(told(RUNNING, asked), ['Normal Terminating: Deletion was asked for']);
  assert.deepEqual(told(RUNNING, expired), ['Warning Expired: Its time was up at 2026-01-01T08:05:00.000Z']);
  const cause = { reason: 'EndIsNear', message: 'Its time is up at 2026-01-01T08:05:00.000Z' };
  const warned = to(RUNNING, markExpiring(RUNNING, cause, at(290)));
  assert.deepEqual(told(RUNNING, warned), ['Warning Expiring: Its time is up at 2026-01-01T08:05:00.000Z']);
  assert.deepEqual(told(warned, to(warned, markExpiring(warned, undefined, at(295)))), [], 'extended');
  assert.deepEqual(told(asked, to(asked, { ...asked.status, message: 'stopping web' })), []);
  assert.deepEqual(told(asked, undefined), ['Normal Deleted: Record removed, it was Terminating on worker-01']);
  assert.deepEqual(told(PENDING, undefined), ['Normal Deleted: Record removed, it was Pending']);
});

test('eventsOfProjectChange() takes a Project of the same name for another where the uid differs', () => {
  const other: ProjectObject = { ...SCHEDULED, metadata: { ...SCHEDULED.metadata, uid: 'another' } };
  assert.deepEqual(
    eventsOfProjectChange(RUNNING, other).map(({ reason, object }) => [reason, object.uid]),
    [
      ['Deleted', 'uid-of-shop'],
      ['Scheduled', 'another'],
    ],
  );
});
