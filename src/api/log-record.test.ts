import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  advanceCursor,
  createSeen,
  formatCursor,
  parseCursor,
  splitBatch,
  toLogTime,
  toPlain,
  type LogBatch,
  type LogCursor,
  type LogLine,
} from './log-record.ts';

const CONTAINER = '0123456789abcdef';

/** Records in the order of a log: each stream's times never go back, one stream against the other they do. */
const log = fc.array(fc.tuple(fc.constantFrom('stdout' as const, 'stderr' as const), fc.nat(2)), { maxLength: 40 }).map((steps) => {
  const clocks = { stdout: 100, stderr: 100 };
  return steps.map(([stream, step], n): LogLine => {
    clocks[stream] += step;
    return { type: 'line', stream, time: `2027-01-01T00:00:00.000000${clocks[stream]}Z`, text: String(n) };
  });
});

function read(lines: readonly LogLine[], cursor: LogCursor | undefined): LogCursor | undefined {
  return lines.reduce((before: LogCursor | undefined, line) => advanceCursor(before, line), cursor);
}

describe('advanceCursor() and createSeen()', () => {
  it('createSeen() tells exactly what was read before an interruption, wherever that was', () => {
    fc.assert(
      fc.property(log, fc.nat(40), (lines, last) => {
        // both streams have been heard: before that, one that is some microseconds behind the other is taken for older than the reading
        const end = Math.min(lines.length, last);
        const cursor = read(lines.slice(0, end), { container: CONTAINER });
        fc.pre(cursor !== undefined && new Set(lines.slice(0, end).map(({ stream }) => stream)).size === 2);
        assert.deepEqual(parseCursor(formatCursor(cursor)), cursor);
        const isSeen = createSeen(cursor);
        assert.deepEqual(
          lines.filter((line) => !isSeen(line)),
          lines.slice(end),
        );
      }),
    );
  });

  it('advanceCursor() comes to the same place by batches as by lines, and splitBatch() gives back the lines', () => {
    fc.assert(
      fc.property(log, (lines) => {
        const batches = lines.reduce(
          (done: readonly LogBatch[], { stream, time, text }): readonly LogBatch[] => {
            const last = done.at(-1);
            const line = `${time} ${text}\n`;
            return last?.stream === stream
              ? [...done.slice(0, -1), { ...last, text: last.text + line }]
              : [...done, { type: 'lines', stream, text: line }];
          },
          [] as readonly LogBatch[],
        );
        assert.deepEqual(batches.flatMap(splitBatch), lines);
        const cursor = batches.reduce((before: LogCursor | undefined, batch) => advanceCursor(before, batch), { container: CONTAINER });
        assert.deepEqual(cursor, read(lines, { container: CONTAINER }));
      }),
    );
  });

  it('toPlain() takes the times off, and leaves the first line to one that was begun', () => {
    const time = '2027-01-01T00:00:00.000000001Z';
    const batch: LogBatch = { type: 'lines', stream: 'stdout', text: `${time} one\n${time} \n${time} two three\n` };
    assert.equal(toPlain(batch, { hasTimes: false, isWithinLine: false }), 'one\n\ntwo three\n');
    assert.equal(toPlain(batch, { hasTimes: true, isWithinLine: false }), batch.text);
    assert.equal(toPlain(batch, { hasTimes: true, isWithinLine: true }), `one\n${time} \n${time} two three\n`);
  });

  it('createSeen() takes what was written before a reading that began with the last lines for seen', () => {
    const line = (n: number, stream: LogLine['stream'] = 'stdout'): LogLine => ({
      type: 'line',
      stream,
      time: `2027-01-01T00:00:00.00000010${n}Z`,
    });
    const cursor = read([line(5), line(6)], { container: CONTAINER });
    assert.ok(cursor !== undefined);
    const isSeen = createSeen(cursor);
    const all = [line(3, 'stderr'), line(4), line(5), line(5, 'stderr'), line(6), line(7)];
    assert.deepEqual(
      all.filter((one) => !isSeen(one)),
      [line(5, 'stderr'), line(7)],
    );
  });

  it('advanceCursor() begins anew with another container', () => {
    const cursor = advanceCursor(
      read([{ type: 'line', stream: 'stdout', time: '2027-01-01T00:00:00.000000001Z' }], { container: CONTAINER }),
      {
        type: 'container',
        id: 'fedcba9876543210',
      },
    );
    assert.deepEqual(cursor, { container: 'fedcba9876543210' });
  });

  it('advanceCursor() keeps a reader of nothing from getting all, once it was told that it is live', () => {
    const time = '2027-01-01T00:00:00.000000005Z';
    const cursor = advanceCursor({ container: CONTAINER }, { type: 'live', time });
    assert.ok(cursor !== undefined);
    const isSeen = createSeen(cursor);
    assert.equal(isSeen({ stream: 'stderr', time: '2027-01-01T00:00:00.000000004Z' }), true);
    assert.equal(isSeen({ stream: 'stderr', time }), false);
  });
});

describe('parseCursor()', () => {
  for (const text of ['', 'x', 'abc', `${CONTAINER}_1`, `${CONTAINER}_2027_1_2027_1`, `../${CONTAINER}`]) {
    it(`parseCursor() refuses ${JSON.stringify(text)}`, () => assert.equal(parseCursor(text), undefined));
  }
});

describe('toLogTime()', () => {
  for (const [text, expected] of [
    ['2027-01-01T10:00:00.123456789Z', '2027-01-01T10:00:00.123456789Z'],
    ['2027-01-01T10:00:00Z', '2027-01-01T10:00:00.000000000Z'],
    ['2027-01-01T10:00:00.5+02:00', '2027-01-01T08:00:00.500000000Z'],
    ['yesterday', undefined],
    ['', undefined],
  ] as const) {
    it(`toLogTime() makes ${String(expected)} of ${JSON.stringify(text)}`, () => assert.equal(toLogTime(text), expected));
  }
});
