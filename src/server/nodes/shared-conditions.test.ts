import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '../../api/condition.ts';
import { SharedConditions } from './shared-conditions.ts';

const SILENT: Condition = {
  type: 'NoHeartbeat',
  status: 'True',
  reason: 'HeartbeatTimeout',
  message: 'No heartbeat',
  lastTransitionTime: '2026-01-01T00:00:00.000Z',
};

test('share() gives one frozen object for conditions that say the same since the same moment, and for no others', () => {
  const shared = new SharedConditions();
  const first = shared.share({ ...SILENT });
  assert.ok(Object.isFrozen(first));
  assert.equal(shared.share({ ...SILENT }), first);
  assert.equal(shared.share({ ...SILENT, type: 'Ready' }).type, 'Ready');
  assert.equal(shared.share({ ...SILENT }), first); // the last of its type
  for (const other of [
    { status: 'False' },
    { reason: 'Other' },
    { message: 'other' },
    { lastTransitionTime: '2027-01-01T00:00:00.000Z' },
  ] as const) {
    assert.deepEqual(shared.share({ ...SILENT, ...other }), { ...SILENT, ...other });
  }
});

test('share() stays right, and small, however many types there are', () => {
  const shared = new SharedConditions();
  for (let index = 0; index < 200; index += 1) {
    assert.deepEqual(shared.share({ ...SILENT, type: `Type${index}` }), { ...SILENT, type: `Type${index}` });
  }
});
