import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { LOG_PING_MS, type LogBatch, type LogRecord } from '../../api/log-record.ts';
import { toLogBody } from './log-body.ts';

const FOREVER = new AbortController().signal;
const TIME = '2027-01-01T00:00:00.000000001Z';

function batch(stream: LogBatch['stream'], ...lines: readonly string[]): LogBatch {
  return { type: 'lines', stream, text: lines.map((line) => `${TIME} ${line}\n`).join('') };
}

async function read(batches: readonly (readonly LogRecord[])[], { isBatched }: { readonly isBatched: boolean }): Promise<LogRecord[]> {
  const source = (async function* () {
    yield* batches;
  })();
  const text = (await toLogBody(source, { clock: new VirtualClock(), isBatched }, FOREVER).toArray()).join('');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LogRecord]));
}

describe('toLogBody()', () => {
  it('toLogBody() puts lines of one stream that come within milliseconds into one record, in order', async () => {
    const batches = [[batch('stdout', 'a')], [batch('stdout', 'b')], [batch('stdout', 'c'), batch('stderr', 'd')], [batch('stdout', 'e')]];
    const expected = [batch('stdout', 'a'), batch('stdout', 'b', 'c'), batch('stderr', 'd'), batch('stdout', 'e')]; // the first at once
    assert.deepEqual(await read(batches, { isBatched: true }), expected);
  });

  it('toLogBody() gives a record a line to who knows no batches', async () => {
    const line = (stream: LogBatch['stream'], text: string): LogRecord => ({ type: 'line', stream, time: TIME, text });
    const batches = [[batch('stdout', 'a', 'b')], [batch('stderr', 'c')]];
    assert.deepEqual(await read(batches, { isBatched: false }), [line('stdout', 'a'), line('stdout', 'b'), line('stderr', 'c')]);
  });

  it('toLogBody() gives a sign of life every five seconds for as long as there is nothing to tell', async () => {
    const clock = new VirtualClock();
    const never = (async function* (): AsyncGenerator<readonly LogRecord[]> {
      await new Promise(() => undefined);
      yield [];
    })();
    const body = toLogBody(never, { clock, isBatched: true }, FOREVER);
    let pings = 0;
    body.on('data', (chunk: Buffer) => (pings += chunk.toString().split('"ping"').length - 1));
    await clock.advance(3_600_000);
    body.destroy();
    assert.equal(pings, 3_600_000 / LOG_PING_MS);
  });
});
