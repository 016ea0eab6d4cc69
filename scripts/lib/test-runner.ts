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
import { isFailedSummary, mergeRuns, type TestEvent } from './merge-runs.ts';

export interface TestRunPlan {
  readonly phases: readonly { readonly files: readonly string[]; readonly concurrency: number; readonly timeoutMs: number }[];
  readonly namePatterns: readonly string[];
}

async function main(plan: TestRunPlan): Promise<void> {
  const runs = plan.phases.map(({ files, concurrency, timeoutMs }) => () => {
    const patterns = plan.namePatterns.length === 0 ? {} : { testNamePatterns: [...plan.namePatterns] };
    return run({ files: [...files], concurrency, timeout: timeoutMs, isolation: 'process', ...patterns }) as AsyncIterable<TestEvent>;
  });
  await pipeline(Readable.from(watchFailures(mergeRuns(runs))), new spec(), process.stdout, { end: false });
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
