import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundOf, nodeOf } from '../../../test/support/objects/resources.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { eventsOfLeaving } from './drain-events.ts';

const SHOP = boundOf('shop', 'n1');
const CONFIRMED = {
  type: 'Moved',
  status: 'True',
  reason: 'StopConfirmed',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00.000Z',
} as const;
const READY = nodeOf('n1');
const CORDONED: NodeObject = { ...READY, spec: { ...READY.spec, unschedulable: true } };

function left(isConfirmed: boolean): ProjectObject {
  const { nodeRef: _left, ...status } = SHOP.status;
  return { ...SHOP, status: { ...status, conditions: isConfirmed ? [CONFIRMED] : [] } };
}

const tell = (next: ProjectObject | undefined, node: NodeObject | undefined = CORDONED, isEmpty = true): readonly string[] =>
  eventsOfLeaving(SHOP, next, { node, isEmpty: () => isEmpty }).map(
    ({ object, reason, message }) => `${object.name} ${reason}: ${message}`,
  );

test('eventsOfLeaving() tells that a cordoned node is empty when its last Project has left it, by the word of its agent', () => {
  assert.deepEqual(tell(left(true)), ['n1 Drained: The last Project on it, shop, has left it; it stays cordoned']);
  assert.equal(tell(undefined).length, 1); // deleted
});

test('eventsOfLeaving() does not while there are others, of a node that is not cordoned, or without that word', () => {
  assert.deepEqual(tell(left(true), CORDONED, false), []);
  assert.deepEqual(tell(left(true), READY), []);
  assert.deepEqual(eventsOfLeaving(SHOP, left(true), { node: undefined, isEmpty: () => true }), []);
  assert.deepEqual(tell(left(false)), []);
  assert.deepEqual(tell(SHOP), []);
  assert.deepEqual(tell(undefined, { ...CORDONED, status: { ...CORDONED.status, state: 'NotReady' } }), []);
});
