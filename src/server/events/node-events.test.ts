import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Heartbeat, NodeObject } from '../../api/node.ts';
import { deriveNodeStatus, type LeaseState } from '../nodes/node-state.ts';
import { nodeOf } from '../../../test/support/objects/resources.ts';
import { eventsOfNodeChange } from './node-events.ts';

const MORNING_MS = Date.UTC(2026, 0, 1, 8);
const OK = { status: 'False', reason: 'Fine', message: '' } as const;
const HEALTHY: Heartbeat = {
  conditions: ['RuntimeUnavailable', 'DiskPressure', 'MemoryPressure'].map((type) => ({ type, ...OK })),
};

interface Step {
  readonly atS: number;
  readonly lease?: LeaseState;
  readonly heartbeatS?: number;
  readonly report?: Heartbeat;
  readonly unschedulable?: boolean;
}

/** The node as the server would derive it from what came before. */
function next(previous: NodeObject, { atS, lease = 'Live', heartbeatS, report, unschedulable = false }: Step): NodeObject {
  const now = timeOf(atS);
  const spec = { ...previous.spec, unschedulable };
  const lastHeartbeat = heartbeatS === undefined ? previous.status.lastHeartbeat : timeOf(heartbeatS);
  const facts = { name: previous.metadata.name, spec, lease, leaseMs: 90_000, report, lastHeartbeat, previous: previous.status, now };
  return { ...previous, spec, status: deriveNodeStatus(facts) };
}

function timeOf(atS: number): string {
  return new Date(MORNING_MS + atS * 1000).toISOString();
}

const NEW: NodeObject = { ...nodeOf('worker-01'), status: { state: 'NotReady', conditions: [] } };
const WAITING = next(NEW, { atS: 0, lease: 'Never' });
const READY = next(WAITING, { atS: 10, heartbeatS: 10, report: HEALTHY });
const SILENT = next(READY, { atS: 190, lease: 'Expired', heartbeatS: 100 });

function told(previous: NodeObject | undefined, after: NodeObject | undefined): readonly string[] {
  return eventsOfNodeChange(previous, after).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

test('eventsOfNodeChange() tells a record made by a person from one that an agent registered', () => {
  const info = { agentVersion: '0.1.0', osImage: 'Debian 13', architecture: 'arm64' };
  const registered: NodeObject = { ...WAITING, spec: { ...WAITING.spec, hostname: 'pi' }, status: { ...WAITING.status, info } };
  assert.deepEqual(told(undefined, WAITING), ['Normal Created: Record created: waits for cara-agent to start with NODE_NAME=worker-01']);
  const words = 'Normal Registered: Its agent registered: host name pi, agent 0.1.0, Debian 13, arm64';
  assert.deepEqual(told(undefined, registered), [words]);
  assert.deepEqual(told(WAITING, registered), [words]);
  assert.deepEqual(told(registered, { ...registered, metadata: { ...registered.metadata, resourceVersion: '9' } }), []);
});

test('eventsOfNodeChange() tells the first heartbeat, and nothing of what is fine', () => {
  assert.deepEqual(told(WAITING, READY), ['Normal NodeReady: Ready: the first heartbeat came']);
});

test('eventsOfNodeChange() tells after how long without contact a node is NotReady, and after how long it is back', () => {
  const [notReady = ''] = told(READY, SILENT);
  assert.match(notReady, /^Warning NodeNotReady: No heartbeat for longer than 1m30s, the last at 2026/u);
  const late = next(READY, { atS: 700, lease: 'Expired' }); // the server was away meanwhile
  assert.match(told(READY, late)[0] ?? '', /^Warning NodeNotReady: After 1\dm\d+s without contact: No heartbeat for longer than 1m30s/u);
  const back = next(SILENT, { atS: 493, heartbeatS: 493 });
  assert.deepEqual(told(SILENT, back), ['Normal NodeReady: Ready again after 5m3s of NotReady (NoHeartbeat)']);
  const backCordoned = next(SILENT, { atS: 493, heartbeatS: 493, unschedulable: true });
  assert.match(told(SILENT, backCordoned)[0] ?? '', /^Normal NodeReady: Draining again after 5m3s of NotReady/u);
});

test('eventsOfNodeChange() leaves out a span that the wall clock has spoilt', () => {
  const back = next(SILENT, { atS: -86_400, heartbeatS: -86_400 });
  assert.deepEqual(told(SILENT, back), ['Normal NodeReady: Ready again (NoHeartbeat)']);
});

test('eventsOfNodeChange() tells both that the engine is gone and that the node is NotReady for it', () => {
  const report = {
    conditions: [{ type: 'RuntimeUnavailable', status: 'True', reason: 'NoAnswer', message: 'no answer for 10s' } as const],
  };
  const down = next(READY, { atS: 50, report });
  assert.deepEqual(told(READY, down), [
    'Warning NodeNotReady: RuntimeUnavailable: no answer for 10s',
    'Warning RuntimeUnavailable: NoAnswer: no answer for 10s',
  ]);
  const up = next(down, { atS: 65, report: HEALTHY });
  assert.deepEqual(told(down, up), [
    'Normal NodeReady: Ready again after 15s of NotReady (RuntimeUnavailable)',
    'Normal RuntimeUnavailableCleared: Over after 15s',
  ]);
});

test('eventsOfNodeChange() tells that a node which is NotReady already has fallen silent as well', () => {
  const report = { conditions: [{ type: 'RuntimeUnavailable', status: 'True', reason: 'NoAnswer', message: '' } as const] };
  const down = next(READY, { atS: 50, heartbeatS: 50, report });
  const silent = next(down, { atS: 140, lease: 'Expired' });
  assert.match(told(down, silent).join(), /^Warning NodeNotReady: No heartbeat for longer than 1m30s/u);
});

test('eventsOfNodeChange() tells pressure when it comes, worsens and goes, and not when the node falls silent with it', () => {
  const pressure = (reason: string): Heartbeat => ({
    conditions: [{ type: 'DiskPressure', status: 'True', reason, message: 'free: 1Gi' }],
  });
  const tight = next(READY, { atS: 20, heartbeatS: 20, report: pressure('LowDisk') });
  assert.deepEqual(told(READY, tight), ['Warning DiskPressure: LowDisk: free: 1Gi']);
  const critical = next(tight, { atS: 30, heartbeatS: 30, report: pressure('DiskCritical') });
  assert.ok(told(tight, critical).includes('Warning DiskPressure: DiskCritical: free: 1Gi'));
  assert.deepEqual(told(tight, next(tight, { atS: 30, report: pressure('LowDisk') })), []);
  assert.deepEqual(told(tight, next(tight, { atS: 80, report: HEALTHY })), ['Normal DiskPressureCleared: Over after 1m']);
  assert.deepEqual(
    eventsOfNodeChange(tight, next(tight, { atS: 110, lease: 'Expired' })).map(({ reason }) => reason),
    ['NodeNotReady'],
  );
});

test('eventsOfNodeChange() tells DuplicateIdentity, also when the condition is taken away', () => {
  const duplicate = { type: 'DuplicateIdentity', status: 'True', reason: 'TwoMachines', message: '10.0.0.1 and 10.0.0.2' } as const;
  const conditions = [...READY.status.conditions, { ...duplicate, lastTransitionTime: timeOf(20) }];
  const doubled: NodeObject = { ...READY, status: { ...READY.status, conditions } };
  assert.deepEqual(told(READY, doubled), ['Warning DuplicateIdentity: TwoMachines: 10.0.0.1 and 10.0.0.2']);
  assert.deepEqual(told(doubled, READY), ['Normal DuplicateIdentityCleared: Over']);
});

test('eventsOfNodeChange() tells cordon and uncordon', () => {
  const cordoned = next(READY, { atS: 20, unschedulable: true });
  assert.deepEqual(told(READY, cordoned), ['Normal Cordoned: No new Projects are scheduled here; those on it go on running']);
  assert.deepEqual(told(cordoned, READY), ['Normal Uncordoned: New Projects may be scheduled here again']);
});

test('eventsOfNodeChange() tells deletion about the record that is gone, also where another has its name by now', () => {
  const other: NodeObject = { ...WAITING, metadata: { ...WAITING.metadata, uid: 'another' } };
  const reasons = (facts: ReturnType<typeof eventsOfNodeChange>) => facts.map(({ reason, object }) => [reason, object.uid]);
  assert.deepEqual(reasons(eventsOfNodeChange(READY, undefined)), [['NodeDeleted', READY.metadata.uid]]);
  assert.deepEqual(reasons(eventsOfNodeChange(READY, other)), [
    ['NodeDeleted', READY.metadata.uid],
    ['Created', 'another'],
  ]);
  assert.deepEqual(eventsOfNodeChange(undefined, undefined), []);
});

test('eventsOfNodeChange() tells nothing of a node that is the same, whatever it is, and never the same thing twice at once', () => {
  const condition = fc.record({
    type: fc.constantFrom('RuntimeUnavailable', 'DiskPressure', 'MemoryPressure', 'ClockSkew', 'MadeUp'),
    status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
    reason: fc.constantFrom('A', 'DiskCritical'),
  });
  const step = fc.record({
    lease: fc.constantFrom<LeaseState>('Live', 'Expired', 'Never'),
    unschedulable: fc.boolean(),
    report: fc.record({ conditions: fc.array(condition, { maxLength: 4 }) }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      let node = WAITING;
      for (const [index, options] of steps.entries()) {
        const after = next(node, { atS: index, ...options });
        const reasons = eventsOfNodeChange(node, after).map(({ reason }) => reason);
        assert.equal(new Set(reasons).size, reasons.length);
        assert.equal(reasons.includes('NodeReady'), node.status.state === 'NotReady' && after.status.state !== 'NotReady');
        assert.ok(reasons.includes('NodeNotReady') || node.status.state === 'NotReady' || after.status.state !== 'NotReady');
        assert.deepEqual(eventsOfNodeChange(after, after), []);
        node = after;
      }
    }),
  );
});
