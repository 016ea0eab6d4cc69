/**
 * Runs test files with node:test and prints them with its spec reporter. The inner half of scripts/test.ts, which starts it in a
 * network namespace of its own and cleans up after it.
 *
 *   node scripts/lib/test-runner.ts '{"phases": [{"files": ["…"], "concurrency": 2}], "namePatterns": []}'
 */
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../src/base/clock.ts';
import { isFailedSummary, mergeRuns, type TestEvent } from './merge-runs.ts';
import { runWatchdog } from './watchdog.ts';

export interface TestRunPlan {
  readonly phases: readonly { readonly files: readonly string[]; readonly concurrency: number; readonly timeoutMs: number }[];
  readonly namePatterns: readonly string[];
}

const GRACE_MS = 5000; // node:test's own time-out comes first, and says which test it was

async function main(plan: TestRunPlan): Promise<void> {
  let limitMs = Infinity;
  const runs = plan.phases.map(({ files, concurrency, timeoutMs }) => () => {
    limitMs = timeoutMs + GRACE_MS;
    const patterns = plan.namePatterns.length === 0 ? {} : { testNamePatterns: [...plan.namePatterns] };
    return run({ files: [...files], concurrency, timeout: timeoutMs, isolation: 'process', ...patterns }) as AsyncIterable<TestEvent>;
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

async function* watchFailures(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (isFailedSummary(event)) {
      process.exitCode = 1;
    }
    yield event;
  }
}

await main(JSON.parse(process.argv[2] ?? '') as TestRunPlan);
