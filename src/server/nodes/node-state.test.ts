import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findCondition, type ConditionStatus } from '../../api/condition.ts';
import { NODE_CONDITION_TYPES, type Heartbeat, type NodeStatus } from '../../api/node.ts';
import { deriveNodeStatus, isHeard, isSameStatus, type LeaseState, type NodeFacts } from './node-state.ts';

const LIVE: NodeFacts = {
  name: 'worker-01',
  spec: { unschedulable: false },
  lease: 'Live',
  leaseMs: 90_000,
  report: undefined,
  lastHeartbeat: '2026-01-01T00:00:00.000Z',
  previous: undefined,
  now: '2026-01-01T00:00:00.000Z',
};

function reporting(type: string, status: ConditionStatus, reason = 'Measured'): Heartbeat {
  return { conditions: [{ type, status, reason, message: `${type} measured` }] };
}

function statusOf(status: NodeStatus, type: string): string {
  const condition = findCondition(status.conditions, type);
  return `${condition?.status ?? 'absent'} ${condition?.reason ?? ''}`;
}

test('deriveNodeStatus() follows the table of states, first match first', () => {
  const stateOf = (facts: Partial<NodeFacts>): string => deriveNodeStatus({ ...LIVE, ...facts }).state;
  const cordoned = { spec: { unschedulable: true } };
  assert.equal(stateOf({}), 'Ready');
  assert.equal(stateOf(cordoned), 'Draining');
  assert.equal(stateOf({ lease: 'Expired' }), 'NotReady');
  assert.equal(stateOf({ lease: 'Never' }), 'NotReady');
  assert.equal(stateOf({ ...cordoned, lease: 'Expired' }), 'NotReady');
  assert.equal(stateOf({ ...cordoned, report: reporting('RuntimeUnavailable', 'True') }), 'NotReady');
  assert.equal(stateOf({ report: reporting('DiskPressure', 'True', 'DiskCritical') }), 'NotReady');
  assert.equal(stateOf({ report: reporting('DiskPressure', 'True', 'DiskLow') }), 'Ready');
  assert.equal(stateOf({ report: reporting('MemoryPressure', 'True') }), 'Ready');
  assert.equal(stateOf({ report: { state: 'NotReady' } }), 'Ready'); // liveness only
});

test('deriveNodeStatus() says why no heartbeats arrive, and no longer claims to know what only the agent can', () => {
  const well = deriveNodeStatus({ ...LIVE, report: reporting('DiskPressure', 'True', 'DiskLow') });
  const silent = deriveNodeStatus({ ...LIVE, lease: 'Expired', previous: well });
  assert.equal(statusOf(silent, 'NoHeartbeat'), 'True HeartbeatTimeout');
  assert.equal(statusOf(silent, 'Ready'), 'Unknown NoHeartbeat');
  assert.equal(statusOf(silent, 'DiskPressure'), 'Unknown NoHeartbeat');
  assert.match(findCondition(silent.conditions, 'NoHeartbeat')?.message ?? '', /1m30s.*2026-01-01T00:00:00/u);
  const never = deriveNodeStatus({ ...LIVE, lease: 'Never', lastHeartbeat: undefined });
  assert.equal(statusOf(never, 'NoHeartbeat'), 'True NeverConnected');
  assert.match(findCondition(never.conditions, 'NoHeartbeat')?.message ?? '', /NODE_NAME=worker-01/u);
});

test('deriveNodeStatus() takes over what says the same as before, and nothing that does not', () => {
  const well = deriveNodeStatus({ ...LIVE, report: { ...reporting('DiskPressure', 'False'), capacity: { cpu: '4' } } });
  const warned = deriveNodeStatus({
    ...LIVE,
    previous: well,
    report: reporting('DiskPressure', 'True', 'DiskLow'),
    now: '2026-01-02T00:00:00.000Z',
  });
  const renewed = NODE_CONDITION_TYPES.filter((type) => findCondition(warned.conditions, type) !== findCondition(well.conditions, type));
  assert.deepEqual(renewed, ['DiskPressure']);
  assert.equal(warned.capacity, well.capacity);
  const worse = deriveNodeStatus({ ...LIVE, previous: warned, report: reporting('DiskPressure', 'True', 'DiskCritical') });
  assert.equal(statusOf(worse, 'DiskPressure'), 'True DiskCritical');
});

test('deriveNodeStatus() keeps what a heartbeat leaves out', () => {
  const report: Heartbeat = { ...reporting('DiskPressure', 'True'), capacity: { cpu: '2000m' }, network: { ip: '100.64.0.5' } };
  const first = deriveNodeStatus({ ...LIVE, report });
  const second = deriveNodeStatus({ ...LIVE, previous: first, report: { capacity: { cpu: '4' } } });
  assert.deepEqual(second.capacity, { cpu: '4' });
  assert.deepEqual(second.network, { ip: '100.64.0.5' });
  assert.equal(statusOf(second, 'DiskPressure'), 'True Measured');
});

test("deriveNodeStatus() ignores an agent's word on what is the server's to judge", () => {
  const conditions = NODE_CONDITION_TYPES.map((type) => ({ type, status: 'True' as const, reason: 'Forged' }));
  const status = deriveNodeStatus({ ...LIVE, report: { conditions: [...conditions, { type: 'DuplicateIdentity', status: 'True' }] } });
  const forged = status.conditions.filter(({ reason }) => reason === 'Forged').map(({ type }) => type);
  assert.deepEqual(forged, ['RuntimeUnavailable', 'DiskPressure', 'MemoryPressure']);
  assert.equal(findCondition(status.conditions, 'DuplicateIdentity'), undefined);
});

test('isHeard() holds for a node whose heartbeats had not stopped', () => {
  assert.equal(isHeard(deriveNodeStatus(LIVE)), true);
  assert.equal(isHeard(deriveNodeStatus({ ...LIVE, lease: 'Expired' })), false);
  assert.equal(isHeard(deriveNodeStatus({ ...LIVE, lease: 'Never', lastHeartbeat: undefined })), false);
});

const anyStatus = fc.constantFrom<ConditionStatus>('True', 'False', 'Unknown');
const anyReport: fc.Arbitrary<Heartbeat | undefined> = fc.option(
  fc.record({
    conditions: fc.array(
      fc.record({
        type: fc.constantFrom('RuntimeUnavailable', 'DiskPressure', 'MemoryPressure', 'Ready', 'NoHeartbeat', 'ClockSkew'),
        status: anyStatus,
        reason: fc.constantFrom('DiskCritical', 'Measured', 'NoHeartbeat'),
      }),
      { maxLength: 4 },
    ),
  }),
  { nil: undefined },
);
const anyStep = fc.record({
  lease: fc.constantFrom<LeaseState>('Live', 'Expired', 'Never'),
  spec: fc.record({ unschedulable: fc.boolean() }),
  report: anyReport,
});

test('deriveNodeStatus() keeps its laws over any history: one state, precedence, transitions timed, deriving again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 12 }), (steps) => {
      let previous: NodeStatus | undefined;
      for (const [index, step] of steps.entries()) {
        const now = new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString();
        const facts: NodeFacts = { ...LIVE, ...step, previous, now };
        const status = deriveNodeStatus(facts);
        const types = status.conditions.map(({ type }) => type);
        assert.deepEqual(types.slice(0, 6), [...NODE_CONDITION_TYPES]);
        assert.equal(new Set(types).size, types.length);
        const isTrue = (type: string): boolean => findCondition(status.conditions, type)?.status === 'True';
        const isCritical =
          step.lease !== 'Live' || isTrue('RuntimeUnavailable') || statusOf(status, 'DiskPressure') === 'True DiskCritical';
        assert.equal(status.state, isCritical ? 'NotReady' : step.spec.unschedulable ? 'Draining' : 'Ready');
        assert.equal(isTrue('Ready'), status.state !== 'NotReady');
        assert.equal(isTrue('NoHeartbeat'), step.lease !== 'Live');
        assert.equal(isTrue('Unschedulable'), step.spec.unschedulable);
        for (const condition of status.conditions) {
          const before = previous && findCondition(previous.conditions, condition.type);
          const isMoved = condition.lastTransitionTime === now;
          assert.equal(isMoved, before?.status !== condition.status, condition.type);
        }
        const again = deriveNodeStatus({ ...facts, report: undefined, previous: status, now: '2030-01-01T00:00:00.000Z' });
        assert.ok(isSameStatus(again, status));
        previous = status;
      }
    }),
  );
});
