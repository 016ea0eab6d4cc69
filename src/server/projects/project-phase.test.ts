import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EPOCH, boundOf, projectOf } from '../../../test/support/objects/resources.ts';
import { findCondition } from '../../api/condition.ts';
import { hasMoved, isLeaving } from '../../api/project/leaving.ts';
import {
  PROJECT_PHASES,
  type ProjectObject,
  type ProjectStatus,
  REPORTED_PHASES,
  type ServiceStatus,
  type StatusReport,
} from '../../api/project.ts';
import { type ReportOutcome, deriveReported } from './project-phase.ts';
import { lapseMove, requestMove } from './project-move.ts';
import { bind, markLost, markUpdating, terminate, unbind } from './project-status.ts';

const LATER = '2026-01-01T00:01:00.000Z';
const READY: ServiceStatus = { name: 'web', state: 'Running', ready: true };
const UNREADY: ServiceStatus = { name: 'web', state: 'Starting', ready: false };

function report(project: ProjectObject, given: StatusReport, isNodeWell = true): ReportOutcome {
  return deriveReported(project, given, { now: LATER, isNodeWell });
}

function changed(outcome: ReportOutcome): ProjectStatus {
  assert.equal(outcome.kind, 'changed');
  return outcome.kind === 'changed' ? outcome.status : assert.fail();
}

function readyOf(status: ProjectStatus): string {
  const ready = findCondition(status.conditions, 'Ready');
  return `${ready?.status ?? 'absent'} ${ready?.reason ?? ''}`;
}

const scheduled = boundOf('shop', 'n1', { status: { phase: 'Scheduled', observedGeneration: 0 } });

test('deriveReported() takes Running when every service is ready, and is Ready then', () => {
  const status = changed(report(scheduled, { phase: 'Running', assignment: 1, observedGeneration: 1, services: [READY] }));
  assert.equal(status.phase, 'Running');
  assert.equal(status.observedGeneration, 1);
  assert.deepEqual(status.services, [READY]);
  assert.equal(readyOf(status), 'True AllServicesReady');
});

test('deriveReported() writes nothing when the same report comes again', () => {
  const first: StatusReport = { phase: 'Failed', reason: 'PullFailed', message: 'no such image', assignment: 1, services: [UNREADY] };
  const failed = { ...scheduled, status: changed(report(scheduled, first)) };
  assert.equal(deriveReported(failed, first, { now: '2026-01-02T00:00:00.000Z', isNodeWell: true }).kind, 'unchanged');
});

test('deriveReported() goes from Failed to Running and back, the cause with it', () => {
  const failed = changed(report(scheduled, { phase: 'Failed', reason: 'PullFailed', message: 'no such image' }));
  assert.equal(failed.reason, 'PullFailed');
  assert.equal(readyOf(failed), 'False PullFailed');
  const running = changed(report({ ...scheduled, status: failed }, { phase: 'Running' }));
  assert.equal(running.phase, 'Running');
  assert.equal(running.reason, undefined);
  assert.equal(running.message, undefined);
  assert.equal(changed(report({ ...scheduled, status: running }, { phase: 'Failed' })).phase, 'Failed');
});

test('deriveReported() refuses what speaks of another assignment, another uid, or a Project without a node', () => {
  const staleness = (project: ProjectObject, given: StatusReport): string => {
    const outcome = report(project, given);
    return outcome.kind === 'stale' ? outcome.detail : outcome.kind;
  };
  assert.match(staleness(scheduled, { phase: 'Running', assignment: 0 }), /report has assignment 0, current is 1 on node n1/u);
  assert.match(staleness(scheduled, { phase: 'Running', assignment: 2 }), /report has assignment 2/u);
  assert.match(staleness(scheduled, { phase: 'Running', uid: 'other' }), /another Project of that name/u);
  assert.match(staleness(projectOf('shop', { status: { assignment: 1 } }), { phase: 'Running', assignment: 1 }), /assigned to no node/u);
});

test('deriveReported() shows Running only for the current generation', () => {
  const edited = boundOf('shop', 'n1', { meta: { generation: 2 } });
  const updating = { ...edited, status: markUpdating(edited, EPOCH) };
  assert.equal(updating.status.phase, 'Scheduled');
  assert.equal(readyOf(updating.status), 'False Updating');
  for (const phase of ['Running', 'Failed'] as const) {
    const outcome = report(updating, { phase, observedGeneration: 1, message: 'about the old spec' });
    assert.equal(outcome.kind, 'unchanged');
  }
  const status = changed(report(updating, { phase: 'Running', observedGeneration: 2 }));
  assert.equal(status.phase, 'Running');
  assert.equal(readyOf(status), 'True AllServicesReady');
});

test('deriveReported() does not take Running from a report that calls a service unready, or leaves one out', () => {
  const spec = { services: [{ name: 'db', image: 'postgres:17' }, ...scheduled.spec.services] };
  const status = changed(report({ ...scheduled, spec }, { phase: 'Running', services: [UNREADY] }));
  assert.equal(status.phase, 'Scheduled');
  assert.equal(status.message, 'Waiting for db, web');
});

test('deriveReported() keeps Terminating until Terminated, and tells how far it is', () => {
  const ending = terminate(boundOf('shop', 'n1'), { reason: 'Expired', message: 'its time was up' }, EPOCH);
  const status = changed(report(ending, { phase: 'Running', services: [READY], message: 'stopping web' }));
  assert.equal(status.phase, 'Terminating');
  assert.equal(status.reason, 'Expired');
  assert.equal(status.message, 'stopping web');
  assert.equal(report(ending, { phase: 'Terminated', assignment: 1 }).kind, 'gone');
  assert.equal(report(ending, { phase: 'Terminated', assignment: 9 }).kind, 'stale');
});

test('deriveReported() takes Terminated of a Project that nobody deletes as not up yet', () => {
  const status = changed(report(boundOf('shop', 'n1'), { phase: 'Terminated' }));
  assert.equal(status.phase, 'Scheduled');
  assert.equal(status.reason, 'Removed');
});

const LEAVE = { from: 'n1', to: 'n2', requestedAt: EPOCH };

function leavingShop(): ProjectObject {
  const running = boundOf('shop', 'n1');
  return { ...running, status: requestMove(running, LEAVE, EPOCH) };
}

test('deriveReported() shows a Project that is leaving as such, whatever its agent says of it, until that has removed it', () => {
  const leaving = leavingShop();
  assert.deepEqual([leaving.status.phase, readyOf(leaving.status)], ['Scheduled', 'False Moving']);
  for (const phase of ['Running', 'Failed', 'Scheduled'] as const) {
    const status = changed(report(leaving, { phase, reason: 'Any', message: 'any', assignment: 1, services: [READY] }));
    assert.equal(status.message, 'Waiting for the agent on n1 to stop it');
    assert.deepEqual([status.phase, status.reason, status.services, status.move], ['Scheduled', 'Moving', [READY], LEAVE]);
  }
  const stopping = changed(report(leaving, { phase: 'Terminating', assignment: 1, message: 'web does not stop' }));
  assert.deepEqual([stopping.phase, stopping.message], ['Scheduled', 'Being stopped on n1: web does not stop']);
  assert.equal(hasMoved(stopping), false);
});

test('deriveReported() takes a Project off its node only on Terminated with the number of its assignment', () => {
  const leaving = leavingShop();
  const doubtful = changed(report(leaving, { phase: 'Terminated' }));
  assert.deepEqual([doubtful.phase, doubtful.nodeRef, hasMoved(doubtful)], ['Scheduled', 'n1', false]);
  assert.equal(report(leaving, { phase: 'Terminated', assignment: 0 }).kind, 'stale');
  const left = changed(report(leaving, { phase: 'Terminated', assignment: 1 }));
  assert.deepEqual([left.phase, left.nodeRef, left.assignment, left.move, left.services], ['Pending', undefined, 1, LEAVE, []]);
  assert.equal(hasMoved(left), true);
  const again = report({ ...leaving, status: left }, { phase: 'Terminated', assignment: 1 });
  assert.equal(again.kind, 'stale', 'an answer that got lost is no second confirmation');
});

test('a move ends with the next binding, with deletion and with the loss of the node; only a confirmed one leaves its word', () => {
  const leaving = leavingShop();
  const left = { ...leaving, status: changed(report(leaving, { phase: 'Terminated', assignment: 1 })) };
  const ends: readonly (readonly [string, ProjectStatus, boolean])[] = [
    ['bound', bind(left, 'n2', LATER), true],
    ['lapsed', lapseMove(left), true],
    ['deleted before', terminate(leaving, { reason: 'Deleted', message: '' }, LATER).status, false],
    ['lost before', unbind(leaving, 'node n1 was lost', LATER), false],
  ];
  for (const [name, status, isConfirmed] of ends) {
    assert.deepEqual([status.move, hasMoved(status)], [undefined, isConfirmed], name);
  }
});

test('a change of spec does not take a Project out of its move', () => {
  const leaving = leavingShop();
  const edited = { ...leaving, metadata: { ...leaving.metadata, generation: 2 } };
  const status = markUpdating(edited, LATER);
  assert.deepEqual([status.phase, status.reason, status.move], ['Scheduled', 'Moving', LEAVE]);
  assert.equal(changed(report({ ...edited, status }, { phase: 'Terminated', assignment: 1, observedGeneration: 1 })).phase, 'Pending');
});

test('deriveReported() keeps a Project Failed that was lost with its node until the node is well again', () => {
  const running = boundOf('shop', 'n1');
  const lost = { ...running, status: markLost(running, 'node n1 has no record', EPOCH) };
  assert.equal(changed(report(lost, { phase: 'Running', services: [READY] }, false)).phase, 'Failed');
  assert.equal(changed(report(lost, { phase: 'Running', services: [READY] })).phase, 'Running');
});

test('deriveReported() keeps its laws for every report on every Project', () => {
  const anyReport = fc.record(
    {
      phase: fc.constantFrom(...REPORTED_PHASES),
      assignment: fc.nat(2),
      observedGeneration: fc.nat(4),
      services: fc.constantFrom<ServiceStatus[][]>([], [READY], [UNREADY]),
      message: fc.constantFrom('a', 'b'),
    },
    { requiredKeys: ['phase'] },
  );
  const anyProject = fc
    .record({
      phase: fc.constantFrom(...PROJECT_PHASES.filter((phase) => phase !== 'Terminated')),
      generation: fc.integer({ min: 1, max: 3 }),
      assignment: fc.nat(2),
      from: fc.constantFrom('n1', 'n0', undefined),
    })
    .map(({ phase, generation, assignment, from }) =>
      projectOf('shop', {
        meta: { generation },
        status: {
          phase,
          assignment,
          observedGeneration: 1,
          ...(phase !== 'Pending' && { nodeRef: 'n1' }),
          ...(phase !== 'Terminating' && from !== undefined && { move: { from, requestedAt: EPOCH } }),
        },
      }),
    );
  fc.assert(
    fc.property(anyProject, anyReport, fc.boolean(), (project, given, isNodeWell) => {
      const outcome = report(project, given, isNodeWell);
      if (outcome.kind !== 'changed') {
        return;
      }
      const { status } = outcome;
      const hasLeft = isLeaving(project) && given.phase === 'Terminated' && given.assignment === project.status.assignment;
      if (hasLeft) {
        assert.deepEqual([status.phase, status.nodeRef, status.assignment], ['Pending', undefined, project.status.assignment]);
        return;
      }
      assert.notEqual(status.phase, 'Pending', 'Pending is the server\u2019s');
      assert.ok(!isLeaving(project) || status.phase !== 'Running', 'what is leaving does not run');
      assert.deepEqual(status.move, project.status.move);
      assert.notEqual(status.phase, 'Terminated');
      assert.equal(status.phase === 'Terminating', project.status.phase === 'Terminating');
      assert.ok(status.observedGeneration <= project.metadata.generation);
      assert.equal(status.assignment, project.status.assignment);
      assert.equal(status.nodeRef, project.status.nodeRef);
      const isRunning = status.phase === 'Running';
      assert.ok(!isRunning || status.observedGeneration === project.metadata.generation);
      assert.equal(findCondition(status.conditions, 'Ready')?.status === 'True', isRunning);
      assert.equal(report({ ...project, status }, given, isNodeWell).kind, 'unchanged', 'a repeated report changes nothing');
    }),
    { numRuns: 500 },
  );
});
