import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sleepers } from './sleepers.ts';

test('Sleepers wake by their deadlines, ties in the order they came, and never once deleted', () => {
  const action = fc.oneof(
    fc.record({ does: fc.constant('add' as const), atMs: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ does: fc.constant('delete' as const), atMs: fc.nat() }),
    fc.record({ does: fc.constant('take' as const), atMs: fc.integer({ min: 0, max: 50 }) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 400, size: 'max' }), (actions) => {
      const sleepers = new Sleepers();
      let waiting: ReturnType<Sleepers['add']>[] = [];
      for (const { does, atMs } of actions) {
        if (does === 'add') {
          waiting.push(sleepers.add(atMs, () => undefined));
        } else if (does === 'delete') {
          const gone = waiting[atMs % Math.max(1, waiting.length)];
          waiting = waiting.filter((one) => one !== gone);
          if (gone !== undefined) {
            sleepers.delete(gone);
          }
        } else {
          const due = waiting.filter(({ deadlineMs }) => deadlineMs <= atMs);
          const [first] = due.toSorted((a, b) => a.deadlineMs - b.deadlineMs || a.order - b.order);
          assert.equal(sleepers.take(atMs), first);
          waiting = waiting.filter((one) => one !== first);
        }
        assert.equal(sleepers.size, waiting.length);
      }
    }),
    { numRuns: 50 },
  );
});
