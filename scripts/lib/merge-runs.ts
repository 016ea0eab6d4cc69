/** Several runs of node:test, one after another, as one for a reporter: a single summary at the end. */

/** An event of node:test's TestsStream. */
export interface TestEvent {
  readonly type: string;
  readonly data: unknown;
}

const COUNTS = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms'] as const;

/**
 * Yields the events of all runs in order. Each run ends in lines such as "tests 12", "pass 12", and a summary upon which a reporter lists
 * what failed; these are held back, and their sums and one summary given last.
 * @param runs started one when the one before has ended
 */
export async function* mergeRuns(runs: readonly (() => AsyncIterable<TestEvent>)[]): AsyncGenerator<TestEvent> {
  const sums = new Map<string, number>(COUNTS.map((name) => [name, 0]));
  let success = true;
  for (const run of runs) {
    for await (const event of run()) {
      const count = readCount(event);
      if (count !== undefined) {
        sums.set(count.name, (sums.get(count.name) ?? 0) + count.value);
      } else if (isWholeSummary(event)) {
        success &&= !isFailedSummary(event);
      } else {
        yield event;
      }
    }
  }
  for (const [name, value] of sums) {
    yield { type: 'test:diagnostic', data: { nesting: 0, level: 'info', message: `${name} ${value}` } };
  }
  yield { type: 'test:summary', data: { success } };
}

/** True for the event that ends a whole run and says that something in it failed. */
export function isFailedSummary(event: TestEvent): boolean {
  return isWholeSummary(event) && event.data.success === false;
}

function isWholeSummary(event: TestEvent): event is { readonly type: 'test:summary'; readonly data: { readonly success?: unknown } } {
  const { type, data } = event;
  return type === 'test:summary' && typeof data === 'object' && data !== null && !('file' in data && data.file !== undefined);
}

function readCount({ type, data }: TestEvent): { name: string; value: number } | undefined {
  if (type !== 'test:diagnostic' || typeof data !== 'object' || data === null || !('message' in data) || !('nesting' in data)) {
    return undefined;
  }
  const [, name, value] = /^(\w+) ([\d.]+)$/u.exec(String(data.message)) ?? [];
  const isCount = data.nesting === 0 && COUNTS.some((known) => known === name);
  return isCount && name !== undefined ? { name, value: Number(value) } : undefined;
}
