/** The simulation itself: what once failed in it holds, and a seed is a whole run. Seeds are in seeds-*.test.ts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRegressions } from './main.ts';
import { drawPlan } from './plan.ts';
import { runPlan } from './run-plan.ts';

describe('what once failed holds', () => {
  for (const { found, plan } of readRegressions()) {
    it(found, async () => {
      assert.equal((await runPlan(plan)).violation, undefined);
    });
  }
});

it('a seed is a whole run: twice the same, to the letter', async () => {
  for (const seed of ['3', '12', '16']) {
    // one of them with several servers
    const plan = drawPlan(seed);
    const [first, second] = [await runPlan(plan), await runPlan(plan)];
    assert.equal(second.traceHash, first.traceHash, `seed ${seed}`);
    assert.ok(first.traceTail.length > 100);
  }
});
