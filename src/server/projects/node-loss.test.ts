import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EPOCH, type ProjectOptions, boundOf, nodeOf } from '../../../test/support/objects/resources.ts';
import { findCondition } from '../../api/condition.ts';
import { LOST_NODE_ACTIONS } from '../../api/project.ts';
import { deriveLossPolicy } from '../../api/project/loss-policy.ts';
import { type Loss, type LossVerdict, judgeNodeLoss } from './node-loss.ts';

const TIMEOUT_MS = 90_000;
const MINUTE_MS = 60_000;
const silent = nodeOf('n1', { state: 'NotReady', isSilent: true });
const unwell = nodeOf('n1', { state: 'NotReady' });

interface Case extends Partial<Loss> {
  readonly node?: typeof silent | undefined;
  readonly spec?: ProjectOptions['spec'];
  readonly hasRefuge?: boolean;
  readonly fenceLeftMs?: number;
}

function judge({ node, spec = {}, lostForMs = 0, missingForMs, wasSilent = false, hasRefuge = true, fenceLeftMs = 0 }: Case): LossVerdict {
  return judgeNodeLoss(boundOf('shop', 'n1', { spec }), {
    node,
    loss: { lostForMs, missingForMs, wasSilent },
    heartbeatTimeoutMs: TIMEOUT_MS,
    fenceLeftMs,
    hasRefuge: () => hasRefuge,
    now: EPOCH,
  });
}

test('deriveLossPolicy() moves what is stateless after 3m and keeps what holds data', () => {
  const policyOf = (spec: ProjectOptions['spec']) => deriveLossPolicy(boundOf('shop', 'n1', { spec: spec ?? {} }).spec);
  assert.deepEqual(policyOf({}), { action: 'Reschedule', afterMs: 180_000, fence: false });
  assert.equal(policyOf({ volumes: [{ name: 'scratch' }] }).action, 'Reschedule');
  assert.equal(policyOf({ volumes: [{ name: 'scratch' }, { name: 'data', type: 'Managed' }] }).action, 'Keep');
  assert.equal(policyOf({ volumes: [{ name: 'data', type: 'HostPath', path: '/srv' }] }).action, 'Keep');
  assert.deepEqual(policyOf({ onNodeLost: { action: 'Fail', after: '10s' } }), { action: 'Fail', afterMs: 10_000, fence: false });
});

test('judgeNodeLoss() keeps the phase while the node is NotReady, and says since when it cannot be reached', () => {
  const { status, lookAgainMs } = judge({ node: silent, wasSilent: true, lostForMs: MINUTE_MS });
  assert.equal(status.phase, 'Running');
  assert.equal(lookAgainMs, 2 * MINUTE_MS);
  const reachable = findCondition(status.conditions, 'NodeReachable');
  assert.equal(reachable?.status, 'False');
  assert.match(reachable?.message ?? '', /Node n1 is NotReady since 2026-01-01T00:00:00.000Z/u);
  assert.equal(findCondition(status.conditions, 'Ready')?.status, 'Unknown');
});

test('judgeNodeLoss() gives the node up after the time, if another might take the Project', () => {
  const moved = judge({ node: silent, wasSilent: true, lostForMs: 3 * MINUTE_MS }).status;
  assert.equal(moved.phase, 'Pending');
  assert.equal(moved.nodeRef, undefined);
  assert.equal(moved.assignment, 1);
  assert.match(moved.message ?? '', /Node n1 was lost/u);
  assert.equal(findCondition(moved.conditions, 'NodeReachable'), undefined);
  assert.equal(findCondition(moved.conditions, 'Scheduled')?.status, 'False');
  const held = judge({ node: silent, wasSilent: true, lostForMs: 3 * MINUTE_MS, hasRefuge: false });
  assert.equal(held.status.phase, 'Running');
  assert.ok(held.lookAgainMs <= 5_000);
});

test('judgeNodeLoss() with Keep waits for ever, with Fail fails after the time', () => {
  const hourMs = 60 * MINUTE_MS;
  const keep = judge({ node: silent, lostForMs: 24 * hourMs, spec: { onNodeLost: { action: 'Keep' } } });
  assert.equal(keep.status.phase, 'Running');
  assert.equal(keep.lookAgainMs, Infinity);
  const fail = { onNodeLost: { action: 'Fail', after: '10s' } } as const;
  assert.equal(judge({ node: silent, lostForMs: 9_999, spec: fail }).status.phase, 'Running');
  const failed = judge({ node: silent, lostForMs: 10_000, spec: fail }).status;
  assert.equal(failed.phase, 'Failed');
  assert.equal(failed.reason, 'NodeLost');
  assert.equal(failed.nodeRef, 'n1');
});

test('judgeNodeLoss() fails a Project on a deleted node once its heartbeats have been gone for the timeout', () => {
  const keep = { onNodeLost: { action: 'Keep' } } as const;
  const gone = (forMs: number, wasSilent = false): LossVerdict =>
    judge({ node: undefined, lostForMs: forMs, missingForMs: forMs, wasSilent, spec: keep });
  assert.equal(gone(0).status.phase, 'Running');
  assert.equal(gone(0).lookAgainMs, TIMEOUT_MS);
  assert.equal(gone(TIMEOUT_MS).status.phase, 'Failed');
  assert.equal(gone(TIMEOUT_MS).status.reason, 'NodeLost');
  assert.equal(gone(0, true).status.phase, 'Failed', 'they had been gone for the timeout before');
});

test('judgeNodeLoss() moves a Project off a deleted node only if it was silent before, or the Project asks for it', () => {
  const deleted = { node: undefined, lostForMs: TIMEOUT_MS + 3 * MINUTE_MS, missingForMs: TIMEOUT_MS + 3 * MINUTE_MS };
  const asking = { ...deleted, spec: { onNodeLost: { action: 'Reschedule' } } } as const;
  assert.equal(judge(asking).status.phase, 'Pending');
  assert.equal(judge({ ...asking, hasRefuge: false }).status.phase, 'Failed');
  assert.equal(judge({ ...deleted, wasSilent: true }).status.phase, 'Pending');
  const left = judge(deleted);
  assert.deepEqual([left.status.phase, left.status.reason, left.lookAgainMs], ['Failed', 'NodeLost', Infinity]);
});

test('judgeNodeLoss() moves a fenced Project off a silent node alone', () => {
  const spec = { onNodeLost: { action: 'Reschedule', after: '1m', fence: true } } as const;
  assert.equal(judge({ node: silent, wasSilent: true, lostForMs: MINUTE_MS, spec }).status.phase, 'Pending');
  assert.equal(judge({ node: unwell, lostForMs: 10 * MINUTE_MS, spec }).status.phase, 'Running');
});

test('judgeNodeLoss() holds a fenced Project until its agent has fenced itself, however long the node has been lost', () => {
  const spec = { onNodeLost: { action: 'Reschedule', after: '1m', fence: true } } as const;
  const lost = { node: silent, wasSilent: true, lostForMs: 60 * MINUTE_MS, spec };
  const held = judge({ ...lost, fenceLeftMs: 5000 });
  assert.deepEqual([held.status.phase, held.lookAgainMs], ['Running', 5000]);
  assert.equal(judge({ ...lost, fenceLeftMs: 0 }).status.phase, 'Pending');
  assert.equal(judge({ ...lost, node: undefined, missingForMs: 60 * MINUTE_MS, fenceLeftMs: 1 }).status.nodeRef, 'n1');
  const unknown = judge({ ...lost, fenceLeftMs: Infinity });
  assert.match(
    findCondition(unknown.status.conditions, 'NodeReachable')?.message ?? '',
    /; it is not moved, as its agent has not confirmed/u,
  );
  const plain = { onNodeLost: { action: 'Reschedule', after: '1m' } } as const;
  assert.equal(judge({ ...lost, spec: plain, fenceLeftMs: Infinity }).status.phase, 'Pending');
});

test('judgeNodeLoss() never acts before its time, and asks to be called again exactly then', () => {
  const anyCase = fc.record({
    node: fc.constantFrom(silent, unwell, undefined),
    action: fc.constantFrom(...LOST_NODE_ACTIONS),
    after: fc.nat(300).map((seconds) => `${seconds}s`),
    lostForMs: fc.nat(600_000),
    hasRefuge: fc.boolean(),
  });
  fc.assert(
    fc.property(anyCase, ({ node, action, after, lostForMs, hasRefuge }) => {
      const at = (elapsedMs: number): LossVerdict =>
        judge({
          node,
          spec: { onNodeLost: { action, after } },
          lostForMs: elapsedMs,
          missingForMs: node === undefined ? elapsedMs : undefined,
          hasRefuge,
        });
      const { status, lookAgainMs } = at(lostForMs);
      assert.ok(lookAgainMs > 0);
      const isDue = lostForMs >= (node === undefined ? TIMEOUT_MS : 0) + Number(after.slice(0, -1)) * 1000;
      assert.equal(status.phase === 'Pending', isDue && action === 'Reschedule' && hasRefuge);
      if (lookAgainMs !== Infinity) {
        assert.equal(at(lostForMs + lookAgainMs - 1).status.phase, status.phase);
      }
    }),
    { numRuns: 500 },
  );
});
