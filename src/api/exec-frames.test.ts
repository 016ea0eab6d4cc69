import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeExecMessage, EXEC_FRAME, encodeExecFrames, encodeExecMessage, ExecFrameReader, type ExecFrameKind } from './exec-frames.ts';

const KINDS = Object.keys(EXEC_FRAME) as ExecFrameKind[];

describe('ExecFrameReader', () => {
  it('ExecFrameReader gives back what encodeExecFrames() framed, however the connection cuts it', () => {
    const messages = fc.array(fc.tuple(fc.constantFrom(...KINDS), fc.uint8Array({ maxLength: 70_000, size: 'max' })), { maxLength: 4 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }), (sent, cuts) => {
        const wire = Buffer.concat(sent.flatMap(([kind, payload]) => encodeExecFrames(kind, payload)));
        const reader = new ExecFrameReader();
        const got: [ExecFrameKind, Buffer][] = [];
        for (let at = 0, n = 0; at < wire.length; n += 1) {
          const end = at + (cuts[n % cuts.length] ?? 1);
          got.push(
            ...reader.push(wire.subarray(at, end)).map(({ kind, payload }): [ExecFrameKind, Buffer] => [kind, Buffer.from(payload)]),
          );
          at = end;
        }
        for (const kind of KINDS) {
          const bytesOf = (list: readonly (readonly [ExecFrameKind, Uint8Array])[]): Buffer =>
            Buffer.concat(list.filter(([one]) => one === kind).map(([, payload]) => payload));
          assert.ok(bytesOf(got).equals(bytesOf(sent)));
        }
        const order = got.map(([kind]) => kind).filter((kind, index, all) => kind !== all[index - 1]);
        const wanted = sent.map(([kind]) => kind).filter((kind, index, all) => kind !== all[index - 1]);
        assert.deepEqual(order, wanted);
      }),
      { numRuns: 50 },
    );
  });

  it('ExecFrameReader refuses what is no frame', () => {
    assert.throws(() => new ExecFrameReader().push(Buffer.from('HTTP/1.1 400')), RangeError);
    assert.throws(() => new ExecFrameReader().push(Buffer.from([0, 0x7f, 0, 0, 0])), RangeError);
  });

  it('ExecFrameReader carries values as JSON', () => {
    const [frame] = new ExecFrameReader().push(encodeExecMessage('resize', { columns: 80, rows: 24 }));
    assert.ok(frame !== undefined);
    assert.deepEqual([frame.kind, decodeExecMessage(frame)], ['resize', { columns: 80, rows: 24 }]);
    assert.throws(() => encodeExecMessage('error', { detail: 'x'.repeat(40_000) }), RangeError);
    assert.throws(() => decodeExecMessage({ kind: 'exit', payload: Buffer.from('{') }), RangeError);
  });
});
