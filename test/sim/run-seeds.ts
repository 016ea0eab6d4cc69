/** Seeds as tests. Callers: seeds-*.test.ts, several files so that they run side by side. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { drawPlan } from './plan.ts';
import { runPlan } from './run-plan.ts';

const PART = 10;

/** Ten seeds a test. */
export function testSeeds(first: number, last: number): void {
  for (let from = first; from <= last; from += PART) {
    const to = Math.min(from + PART - 1, last);
    it(`simulated fleets keep every promise: seeds ${from} to ${to}`, async () => {
      for (let seed = from; seed <= to; seed += 1) {
        const { violation, traceTail } = await runPlan(drawPlan(String(seed)));
        assert.equal(violation, undefined, `seed ${seed}; the last of it:\n${traceTail.slice(-40).join('\n')}`);
      }
    });
  }
}
