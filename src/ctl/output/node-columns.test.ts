import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition, ConditionStatus } from '../../api/condition.ts';
import { summarizeConditions } from './node-columns.ts';

function conditions(statuses: Readonly<Record<string, ConditionStatus>>): readonly Condition[] {
  return Object.entries(statuses).map(([type, status]) => ({
    type,
    status,
    reason: 'Test',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }));
}

test('summarizeConditions() says Healthy when no condition but Ready is True', () => {
  assert.equal(summarizeConditions(conditions({ Ready: 'True', NoHeartbeat: 'False' })), 'Healthy');
  assert.equal(summarizeConditions([]), 'Healthy');
});

test("summarizeConditions() joins the True ones in the contract's order, whatever theirs", () => {
  const all = conditions({
    Unschedulable: 'True',
    MemoryPressure: 'True',
    Odd: 'True',
    DiskPressure: 'Unknown',
    NoHeartbeat: 'True',
    Ready: 'Unknown',
  });
  assert.equal(summarizeConditions(all), 'NoHeartbeat,MemoryPressure,Unschedulable,Odd');
});
