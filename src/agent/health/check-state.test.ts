import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { beginCheck, recordResult, type CheckResult, type CheckState, type CheckTiming } from './check-state.ts';

const TIMING: CheckTiming = { intervalMs: 1000, startIntervalMs: 200, startPeriodMs: 5000, retries: 3 };

const anyTiming: fc.Arbitrary<CheckTiming> = fc
  .record({
    intervalMs: fc.integer({ min: 100, max: 30_000 }),
    share: fc.integer({ min: 1, max: 10 }),
    startPeriodMs: fc.integer({ min: 0, max: 60_000 }),
    retries: fc.integer({ min: 1, max: 10 }),
  })
  .map(({ share, ...timing }) => ({ ...timing, startIntervalMs: Math.max(1, Math.floor(timing.intervalMs / share)) }));

/** What comes of each check in turn, and by how much it is late: the agent may have been stopped. */
const anyCourse = fc.array(
  fc.record({
    result: fc.constantFrom<CheckResult>('passed', 'failed', 'failed', 'failed', 'unknown'),
    lateMs: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 10_000_000 })),
  }),
  { maxLength: 60 },
);

interface Moment {
  readonly result: CheckResult;
  readonly nowMs: number;
  readonly before: CheckState;
  readonly after: CheckState;
}

function follow(timing: CheckTiming, course: readonly { result: CheckResult; lateMs: number }[], wasHealthy = false): readonly Moment[] {
  let state = beginCheck(timing, { startedAtMs: 0, nowMs: 0, wasHealthy });
  return course.map(({ result, lateMs }) => {
    const before = state;
    const nowMs = state.nextAtMs + lateMs;
    state = recordResult(state, timing, { result, nowMs });
    return { result, nowMs, before, after: state };
  });
}

test('one success makes it healthy, whatever came before', () => {
  fc.assert(
    fc.property(anyTiming, anyCourse, (timing, course) => {
      for (const { result, after } of follow(timing, course)) {
        assert.ok(result !== 'passed' || (after.status === 'healthy' && after.failures === 0));
      }
    }),
  );
});

test('it turns unhealthy by `retries` failures in a row and by nothing else', () => {
  fc.assert(
    fc.property(anyTiming, anyCourse, fc.boolean(), (timing, course, wasHealthy) => {
      let inRow = 0;
      for (const { result, before, after } of follow(timing, course, wasHealthy)) {
        inRow = result === 'passed' ? 0 : inRow + (result === 'failed' ? 1 : 0);
        if (before.status !== 'unhealthy' && after.status === 'unhealthy') {
          assert.equal(result, 'failed');
          assert.ok(inRow >= timing.retries);
        }
        if (before.status === 'healthy' && inRow >= timing.retries) {
          assert.equal(after.status, 'unhealthy');
        }
      }
    }),
  );
});

test('before it was healthy it never turns unhealthy sooner than startPeriod and then an interval a failure allow, however often it is looked at', () => {
  fc.assert(
    fc.property(anyTiming, anyCourse, (timing, course) => {
      const firstMs = Math.max(timing.startPeriodMs, timing.intervalMs);
      for (const { nowMs, before, after } of follow(timing, course)) {
        if (before.status === 'starting' && after.status === 'unhealthy') {
          assert.ok(nowMs >= firstMs + (timing.retries - 1) * timing.intervalMs);
        }
      }
    }),
  );
});

test('a gap in the checks, however long, is no failure: each result counts once at most', () => {
  fc.assert(
    fc.property(anyTiming, anyCourse, (timing, course) => {
      for (const { before, after } of follow(timing, course)) {
        assert.ok(after.failures <= before.failures + 1);
        assert.ok(after.nextAtMs > before.nextAtMs);
      }
    }),
  );
});

test('what says nothing changes nothing but when to look again', () => {
  fc.assert(
    fc.property(anyTiming, anyCourse, (timing, course) => {
      for (const { result, before, after } of follow(timing, course)) {
        assert.ok(result !== 'unknown' || (after.status === before.status && after.failures === before.failures));
      }
    }),
  );
});

test('failures in startPeriod do not count, and after it one an interval does', () => {
  const course = Array.from({ length: 60 }, () => ({ result: 'failed' as const, lateMs: 0 }));
  const unhealthy = follow(TIMING, course).find(({ after }) => after.status === 'unhealthy');
  assert.equal(unhealthy?.nowMs, 7000); // counted at 5, 6 and 7 s
});

test('a run that was healthy before the agent was restarted is healthy until its checks say otherwise', () => {
  const course = Array.from({ length: 3 }, () => ({ result: 'failed' as const, lateMs: 0 }));
  assert.deepEqual(
    follow(TIMING, course, true).map(({ after }) => after.status),
    ['healthy', 'healthy', 'unhealthy'],
  );
});
