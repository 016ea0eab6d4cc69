import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf } from '../../../test/support/objects/resources.ts';
import { LossTracker } from './loss-tracker.ts';

const SILENT = nodeOf('n1', { state: 'NotReady', isSilent: true });

test('LossTracker counts from when the node was first seen lost, whatever else changes about it', () => {
  const losses = new LossTracker();
  losses.observe('n1', nodeOf('n1'), 0);
  assert.equal(losses.find('n1', 5), undefined);
  losses.observe('n1', SILENT, 10);
  losses.observe('n1', SILENT, 20);
  assert.deepEqual(losses.find('n1', 30), { lostForMs: 20, missingForMs: undefined, wasSilent: true });
  losses.observe('n1', undefined, 30);
  losses.observe('n1', undefined, 40);
  assert.deepEqual(losses.find('n1', 50), { lostForMs: 40, missingForMs: 20, wasSilent: true });
});

test('LossTracker begins anew after the node was back, and takes a Draining node for there', () => {
  const losses = new LossTracker();
  losses.observe('n1', SILENT, 0);
  losses.observe('n1', nodeOf('n1', { state: 'Draining' }), 10);
  assert.equal(losses.find('n1', 10), undefined);
  losses.observe('n1', undefined, 20);
  assert.deepEqual(losses.find('n1', 25), { lostForMs: 5, missingForMs: 5, wasSilent: false });
});

test('forgetMissing() forgets a node without a record, and no other', () => {
  const losses = new LossTracker();
  losses.observe('n1', SILENT, 0);
  losses.forgetMissing('n1');
  assert.notEqual(losses.find('n1', 0), undefined);
  losses.observe('n1', undefined, 0);
  losses.forgetMissing('n1');
  assert.equal(losses.find('n1', 0), undefined);
});
