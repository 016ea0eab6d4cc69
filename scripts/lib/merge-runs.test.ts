import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailedSummary, mergeRuns, type TestEvent } from './merge-runs.ts';

const diagnostic = (message: string, nesting = 0): TestEvent => ({ type: 'test:diagnostic', data: { nesting, message, level: 'info' } });

async function collect(events: AsyncIterable<TestEvent>): Promise<TestEvent[]> {
  const all: TestEvent[] = [];
  for await (const event of events) {
    all.push(event);
  }
  return all;
}

async function* runOf(...events: TestEvent[]): AsyncGenerator<TestEvent> {
  yield* events;
}

test('mergeRuns() passes events on in order and ends with the sums of the counts', async () => {
  const pass: TestEvent = { type: 'test:pass', data: { name: 'one' } };
  const events = await collect(
    mergeRuns([
      () => runOf(pass, diagnostic('tests 3'), diagnostic('fail 1')),
      () => runOf(diagnostic('tests 2'), diagnostic('duration_ms 1.5')),
    ]),
  );
  assert.deepEqual(events[0], pass);
  const messages = events.slice(1, -1).map(({ data }) => (data as { message: string }).message);
  assert.deepEqual(messages, ['tests 5', 'suites 0', 'pass 0', 'fail 1', 'cancelled 0', 'skipped 0', 'todo 0', 'duration_ms 1.5']);
});

test('mergeRuns() ends with one summary, a failed one when any run failed', async () => {
  const ofFile: TestEvent = { type: 'test:summary', data: { success: false, file: 'a.test.ts' } };
  const whole = (success: boolean): TestEvent => ({ type: 'test:summary', data: { success } });
  const events = await collect(mergeRuns([() => runOf(ofFile, whole(false)), () => runOf(whole(true))]));
  assert.deepEqual(
    events.filter(({ type }) => type === 'test:summary'),
    [ofFile, whole(false)],
  );
  assert.deepEqual((await collect(mergeRuns([() => runOf(whole(true))]))).at(-1), whole(true));
});

test("mergeRuns() leaves a test's own diagnostics alone", async () => {
  const own = [diagnostic('tests 3', 1), diagnostic('seed 12')];
  const events = await collect(mergeRuns([() => runOf(...own)]));
  assert.deepEqual(events.slice(0, 2), own);
});

test('mergeRuns() starts a run only when the one before has ended', async () => {
  const order: string[] = [];
  async function* first(): AsyncGenerator<TestEvent> {
    order.push('first starts');
    yield diagnostic('tests 1');
    order.push('first ends');
  }
  function second(): AsyncGenerator<TestEvent> {
    order.push('second starts');
    return runOf();
  }
  await collect(mergeRuns([first, second]));
  assert.deepEqual(order, ['first starts', 'first ends', 'second starts']);
});

test('isFailedSummary() goes by the summary of a whole run, not by that of a file', () => {
  assert.equal(isFailedSummary({ type: 'test:summary', data: { success: false } }), true);
  assert.equal(isFailedSummary({ type: 'test:summary', data: { success: false, file: 'a.test.ts' } }), false);
  assert.equal(isFailedSummary({ type: 'test:summary', data: { success: true } }), false);
});
