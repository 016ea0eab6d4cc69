import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasReason } from '../../api/errors.ts';
import type { Heartbeat, NodeObject } from '../../api/node.ts';
import { systemRandom } from '../../base/random.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { nodeOf } from '../../../test/support/objects/resources.ts';
import { NodeRegistry } from './node-registry.ts';

const TIMEOUT_MS = 90_000;

function createRegistry(): { readonly clock: VirtualClock; readonly registry: NodeRegistry; readonly stalls: number[] } {
  const clock = new VirtualClock();
  const stalls: number[] = [];
  const registry = new NodeRegistry({
    clock,
    random: systemRandom,
    heartbeatTimeoutMs: TIMEOUT_MS,
    onDirty: () => undefined,
    onStall: (ms) => stalls.push(ms),
  });
  return { clock, registry, stalls };
}

function node(version: number, uid = 'u1'): NodeObject {
  const plain = nodeOf('a', { version });
  return { ...plain, metadata: { ...plain.metadata, uid } };
}

const decode = (text: string): Heartbeat => JSON.parse(text) as Heartbeat;

test('recordHeartbeat() looks at a text once, and again after a silence', () => {
  const { registry, clock } = createRegistry();
  registry.observe(node(1));
  let decoded = 0;
  const counting = (text: string): Heartbeat => {
    decoded += 1;
    return decode(text);
  };
  registry.recordHeartbeat('a', '{}', counting);
  registry.recordHeartbeat('a', '{}', counting);
  assert.equal(decoded, 1);
  for (let elapsedMs = 0; elapsedMs <= TIMEOUT_MS; elapsedMs += 250) {
    clock.stall(250);
    registry.noticeTime(clock.monotonicMs());
  }
  assert.equal(registry.expire(clock.monotonicMs()), 1);
  registry.recordHeartbeat('a', '{}', counting);
  assert.equal(decoded, 2);
});

test('recallHeard() believes what is later than the record, and of no record that was never heard', () => {
  const { registry } = createRegistry();
  const heard = node(1);
  const lastHeartbeat = '2026-01-01T00:00:00.000Z';
  registry.observe({ ...heard, status: { ...heard.status, lastHeartbeat } });
  registry.recallHeard('a', Date.parse(lastHeartbeat) - 1);
  assert.equal(registry.view.presence('a').lastHeartbeat, lastHeartbeat);
  registry.recallHeard('a', Date.parse(lastHeartbeat) + 30_000);
  assert.equal(registry.view.presence('a').lastHeartbeat, '2026-01-01T00:00:30.000Z');
  const anew = node(9, 'u2');
  const { lastHeartbeat: _none, ...never } = anew.status;
  registry.observe({ ...anew, status: never }); // made anew under the name
  registry.recallHeard('a', Date.parse(lastHeartbeat) + 60_000);
  assert.equal(registry.view.presence('a').lastHeartbeat, undefined);
  registry.recallHeard('gone', 1);
});

test('recordHeartbeat() renews nothing when the body is refused', () => {
  const { registry } = createRegistry();
  registry.observe(node(1));
  assert.throws(() => registry.recordHeartbeat('a', '{', decode), SyntaxError);
  assert.equal(registry.view.presence('a').lease, 'Never');
});

test('news may come in any order: what is older than what is known is ignored', () => {
  const { registry } = createRegistry();
  registry.observe(node(5));
  registry.observe(node(3));
  assert.equal(registry.find('a')?.metadata.resourceVersion, '5');
  registry.forget('a', 6);
  registry.observe(node(5)); // a watch that lags behind the deletion
  assert.equal(registry.find('a'), undefined);
  registry.observe(node(8, 'u2'));
  registry.forget('a', 6); // a watch that lags behind the creation
  assert.equal(registry.find('a')?.metadata.uid, 'u2');
  registry.recordHeartbeat('a', '{}', decode);
});

test('a node made anew inherits neither lease nor reports', () => {
  const { registry } = createRegistry();
  registry.observe(node(1));
  registry.recordHeartbeat('a', '{"state":"Ready"}', decode);
  registry.observe(node(2, 'u2')); // deleted and made anew; the watch shows the last alone
  assert.deepEqual(registry.view.presence('a'), {
    lease: 'Never',
    lastHeartbeat: undefined,
    silentSinceMs: undefined,
    report: undefined,
    dispute: undefined,
  });
});

test('settle() keeps what was reported while the flush was under way', () => {
  const { registry } = createRegistry();
  registry.observe(node(1));
  registry.recordHeartbeat('a', '{"capacity":{"cpu":"1"}}', decode);
  const flushed = registry.view.presence('a').report;
  registry.recordHeartbeat('a', '{"capacity":{"cpu":"2"}}', decode);
  registry.settle('a', flushed);
  assert.deepEqual(registry.view.presence('a').report, { capacity: { cpu: '2' } });
  registry.settle('a', registry.view.presence('a').report);
  assert.equal(registry.view.presence('a').report, undefined);
});

test('noticeTime() credits a stall once, and no ordinary gap', () => {
  const { registry, clock, stalls } = createRegistry();
  registry.observe(node(1));
  registry.recordHeartbeat('a', '{}', decode);
  clock.stall(700);
  registry.noticeTime(clock.monotonicMs());
  assert.deepEqual(stalls, []);
  clock.stall(10_000);
  registry.noticeTime(clock.monotonicMs());
  registry.noticeTime(clock.monotonicMs());
  assert.deepEqual(stalls, [10_000]);
  assert.equal(registry.nextDeadlineMs(), TIMEOUT_MS + 10_000 - 250);
});

test('withPresence() shows a node as silent from the end of its lease on, whether that is written yet or not', () => {
  const { registry, clock } = createRegistry();
  const heard = node(1);
  const conditions = heard.status.conditions.map((condition) => ({ ...condition, status: 'False' as const }));
  const stored = { ...heard, status: { ...heard.status, conditions, lastHeartbeat: '2026-01-01T00:00:00.000Z' } };
  registry.observe(stored);
  for (let elapsedMs = 0; elapsedMs < TIMEOUT_MS; elapsedMs += 250) {
    assert.equal(registry.view.withPresence(stored).status.state, 'Ready');
    clock.stall(250);
    registry.expire(clock.monotonicMs());
  }
  const endedAt = new Date(clock.wallMs()).toISOString();
  clock.stall(5000);
  const { status } = registry.view.withPresence(stored);
  assert.equal(status.state, 'NotReady');
  const silence = status.conditions.find(({ type }) => type === 'NoHeartbeat');
  assert.deepEqual([silence?.status, silence?.lastTransitionTime], ['True', endedAt]);
  assert.deepEqual(registry.view.deriveStatus(stored).conditions.find(({ type }) => type === 'NoHeartbeat')?.lastTransitionTime, endedAt);
});

test('strangers get NotFound, the deleted NodeDeleted', () => {
  const { registry } = createRegistry();
  assert.throws(
    () => registry.recordHeartbeat('a', '{}', decode),
    (error) => hasReason(error, 'NotFound'),
  );
  registry.observe(node(1));
  registry.forget('a', 2);
  assert.throws(
    () => registry.recordHeartbeat('a', '{}', decode),
    (error) => hasReason(error, 'NodeDeleted'),
  );
});
