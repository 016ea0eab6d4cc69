import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_VERSION } from '../../api/meta.ts';
import type { EventObject } from '../../api/event.ts';
import { eventLines, renderEvents } from './event-columns.ts';

const NOW_MS = Date.UTC(2026, 0, 1, 12);

function eventOf(reason: string, agoS: number, more: Partial<EventObject> = {}): EventObject {
  const at = new Date(NOW_MS - agoS * 1000).toISOString();
  const metadata = {
    name: reason,
    labels: {},
    annotations: {},
    uid: reason,
    resourceVersion: '1',
    generation: 1,
    createdAt: at,
    updatedAt: at,
  };
  const object = { kind: 'Node', name: 'worker-01', uid: 'u' };
  const message = `${reason} it is`;
  const once = { count: 1, firstSeen: at, lastSeen: at };
  return { apiVersion: API_VERSION, kind: 'Event', metadata, object, type: 'Normal', reason, message, ...once, ...more };
}

test('eventLines() shows what happened last last, and how often over how long as kubectl does', () => {
  const firstSeen = new Date(NOW_MS - 600_000).toISOString();
  const lines = eventLines([eventOf('NodeNotReady', 120, { type: 'Warning', count: 5, firstSeen }), eventOf('Registered', 7200)], NOW_MS);
  assert.deepEqual(lines, [
    'LAST SEEN          TYPE      REASON         MESSAGE',
    '2h                 Normal    Registered     Registered it is',
    '2m (x5 over 10m)   Warning   NodeNotReady   NodeNotReady it is',
  ]);
});

test('eventLines() keeps to the newest twenty, and says when there is none', () => {
  const many = Array.from({ length: 30 }, (_, index) => eventOf(`R${index}`, index));
  const lines = eventLines(many, NOW_MS);
  assert.equal(lines.length, 21);
  assert.match(lines.at(-1) ?? '', /R0 it is$/u);
  assert.deepEqual(eventLines([], NOW_MS), ['none']);
});

test('renderEvents() is a part of describe, on one line per Event whatever a message holds', () => {
  const view = { screen: { hasColor: false }, nowMs: NOW_MS };
  const text = renderEvents([eventOf('Failed', 1, { message: 'one\ntwo\u001B[31m' })], view);
  assert.equal(text, '\nEvents:\n  LAST SEEN   TYPE     REASON   MESSAGE\n  1s          Normal   Failed   one two\\x1b[31m\n');
});
