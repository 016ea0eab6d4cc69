/**
 * Runs test files with node:test and prints them with its spec reporter. The inner half of scripts/test.ts, which starts it in a
 * network namespace of its own and cleans up after it.
 *
 *   node scripts/lib/test-runner.ts '{"phases": [{"files": ["…"], "concurrency": 2, "timeoutMs": 60000}], "namePatterns": []}'
 */
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../src/base/clock.ts';
import { isFailedSummary, mergeRuns, type TestEvent } from './merge-runs.ts';
import { removeRemains, type RemainsOptions } from './test-remains.ts';
import { runWatchdog } from './watchdog.ts';

export interface TestPhase {
  readonly files: readonly string[];
  readonly concurrency: number;
  /** of a file */
  readonly timeoutMs: number;
  /** Where to look for what its tests left, once they have ended: it is removed, and the run fails. */
  readonly remains?: RemainsOptions;
}

export interface TestRunPlan {
  readonly phases: readonly TestPhase[];
  readonly namePatterns: readonly string[];
}

const GRACE_MS = 5000; // node:test's own time-out comes first, and says which test it was

async function main(plan: TestRunPlan): Promise<void> {
  let limitMs = Infinity;
  const runs = plan.phases.map((phase) => () => {
    limitMs = phase.timeoutMs + GRACE_MS;
    return runPhase(phase, plan.namePatterns);
  });
  const ended = new AbortController();
  const onKill = (command: readonly string[]): void => {
    process.stderr.write(`Killed as it ran for more than ${limitMs / 1000} s: ${command.at(-1) ?? ''}\n`);
  };
  const watching = runWatchdog({ limitMs: () => limitMs, clock: systemClock, onKill }, ended.signal);
  await pipeline(Readable.from(watchFailures(mergeRuns(runs))), new spec(), process.stdout, { end: false });
  ended.abort();
  await watching;
}

async function* runPhase(
  { files, concurrency, timeoutMs, remains }: TestPhase,
  namePatterns: readonly string[],
): AsyncGenerator<TestEvent> {
  const patterns = namePatterns.length === 0 ? {} : { testNamePatterns: [...namePatterns] };
  yield* run({
    files: [...files],
    concurrency,
    timeout: timeoutMs,
    isolation: 'process',
    execArgv: ['--test-force-exit'], // a test that failed may have left a child, for which its file would wait until its time-out
    ...patterns,
  }) as AsyncIterable<TestEvent>;
  for (const line of remains === undefined ? [] : await removeRemains(remains)) {
    process.stderr.write(`Left behind by ${files.map((file) => path.basename(file)).join(', ')}: ${line}\n`);
    process.exitCode = 1;
  }
}

async function* watchFailures(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (isFailedSummary(event)) {
      process.exitCode = 1;
    }
    yield event;
  }
}

await main(JSON.parse(process.argv[2] ?? '') as TestRunPlan);
