import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { splitBatch } from '../../api/log-record.ts';
import { createLineDecoder } from './log-lines.ts';

const TIME = '2027-01-01T00:00:00.000000001Z';

function decode(chunks: readonly (string | Uint8Array)[], { hasTty = false } = {}) {
  const decoder = createLineDecoder(hasTty);
  const frames = chunks.map((bytes) => ({ stream: 'stdout' as const, bytes: Buffer.from(bytes) }));
  const texts = [...frames.flatMap((frame) => decoder.push([frame])), ...decoder.end()];
  const lines = texts.flatMap((one) => (one.type === 'lines' ? splitBatch(one) : [one]));
  return lines.map(({ time, text, base64, isPartial }) =>
    [time, text ?? `base64 ${base64}`, ...(isPartial === true ? ['partial'] : [])].join('|'),
  );
}

describe('createLineDecoder()', () => {
  it('createLineDecoder() takes the time off each record, and the line feed', () => {
    assert.deepEqual(decode([`${TIME} one\n`, `${TIME} \n`, `${TIME} a b\r\n`]), [`${TIME}|one`, `${TIME}|`, `${TIME}|a b`]);
  });

  it('createLineDecoder() makes one batch of whole lines that came together, and only of those', () => {
    const records = [`${TIME} one\n`, `${TIME} zwei ü\n`, `${TIME} \n`];
    const push = (more: readonly string[]) => {
      const all = [...records, ...more].map((text) => Buffer.from(text));
      const ends = all.map((_, n) => Buffer.concat(all.slice(0, n + 1)).length);
      return createLineDecoder(false).push([{ stream: 'stderr', bytes: Buffer.concat(all), ends }]);
    };
    assert.deepEqual(push([]), [{ type: 'lines', stream: 'stderr', text: records.join('') }]);
    for (const odd of [
      'no time\n',
      `${TIME} a piece`,
      `${TIME} two\nlines\n`,
      `${TIME} of a terminal\r\n`,
      '2027-01-01T00:00:00.5Z short\n',
    ]) {
      assert.deepEqual(
        push([odd]).map(({ type }) => type),
        ['line', 'line', 'line', 'line'],
        odd,
      );
    }
  });

  it('createLineDecoder() marks pieces of a line, and keeps what is no text byte for byte', () => {
    const bytes = Buffer.concat([Buffer.from(`${TIME} `), Buffer.from([0xff, 0xfe, 0x41]), Buffer.from('\n')]);
    assert.deepEqual(decode([`${TIME} begin`, bytes, `${TIME} \uFFFD is text\n`]), [
      `${TIME}|begin|partial`,
      `${TIME}|base64 //5B`,
      `${TIME}|\uFFFD is text`,
    ]);
  });

  it('createLineDecoder() reads times of other lengths, and leaves what has none as it is', () => {
    assert.deepEqual(decode(['2027-01-01T00:00:00.5Z x\n', 'no time at all, though there are spaces\n']), [
      '2027-01-01T00:00:00.500000000Z|x',
      '0001-01-01T00:00:00.000000000Z|no time at all, though there are spaces',
    ]);
  });

  it('createLineDecoder() finds the records of a terminal however its bytes are cut, also the pieces of long lines', () => {
    const long = 'x'.repeat(16 * 1024);
    const whole = `${TIME} one\r\n${TIME} ${long}${TIME} rest\r\n${TIME} last\n`;
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 8 }), (cuts) => {
        const ends = [...new Set(cuts)].toSorted((a, b) => a - b);
        const chunks = [...ends, whole.length].map((end, n) => whole.slice(n === 0 ? 0 : ends[n - 1], end));
        const expected = [`${TIME}|one`, `${TIME}|${long}|partial`, `${TIME}|rest`, `${TIME}|last`];
        assert.deepEqual(decode(chunks, { hasTty: true }), expected);
      }),
    );
  });
});
