import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { hasEngineReason } from './engine-error.ts';
import type { LogFrame } from './docker-types.ts';
import { decodeLogFrames, LogFrameDecoder } from './log-frames.ts';

function encode(stream: number, payload: Uint8Array | string): Buffer {
  const body = Buffer.from(payload as Uint8Array);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** Cuts `bytes` at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...ends, bytes.length].map((end, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], end));
}

/** The records of a frame, each for itself. */
function split({ stream, bytes, ends = [bytes.length] }: LogFrame): { readonly stream: string; readonly payload: readonly number[] }[] {
  return ends.map((end, n) => ({ stream, payload: [...bytes.subarray(n === 0 ? 0 : ends[n - 1], end)] }));
}

async function decode(chunks: readonly Uint8Array[], { hasTty = false } = {}): Promise<string[]> {
  const frames: string[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const batch of decodeLogFrames(source, hasTty)) {
    frames.push(...batch.flatMap(split).map(({ stream, payload }) => `${stream} ${Buffer.from(payload).toString('hex')}`));
  }
  return frames;
}

test('LogFrameDecoder gives the same frames however the stream is cut', () => {
  const frame = fc.record({ stream: fc.constantFrom('stdout', 'stderr'), payload: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(500), { maxLength: 20 }), (frames, places) => {
      const bytes = Buffer.concat(frames.map(({ stream, payload }) => encode(stream === 'stdout' ? 1 : 2, payload)));
      const decoder = new LogFrameDecoder();
      const seen = cut(bytes, places).flatMap((chunk) => decoder.push(chunk));
      assert.deepEqual(
        seen.flatMap(split),
        frames.map(({ stream, payload }) => ({ stream, payload: [...payload] })),
      );
      assert.equal(decoder.hasRest, false);
    }),
  );
});

test('decodeLogFrames() passes a terminal through as it comes', async () => {
  assert.deepEqual(await decode([Buffer.from('ab'), Buffer.from('c')], { hasTty: true }), ['stdout 6162', 'stdout 63']);
});

test('decodeLogFrames() fails when the stream ends within a frame, after the whole ones', async () => {
  const bytes = Buffer.concat([encode(1, 'ok'), encode(2, 'cut').subarray(0, 9)]);
  await assert.rejects(decode([bytes]), (error) => hasEngineReason(error, 'EngineUnreachable'));
});

test("decodeLogFrames() fails with the engine's words of a frame of stream 3", async () => {
  await assert.rejects(decode([encode(3, 'error from daemon\n')]), /Cannot go on reading a container's output: error from daemon$/u);
});

test('decodeLogFrames() refuses what has no frames, and frames that no engine sends', async () => {
  await assert.rejects(decode([Buffer.from('plain text here')]), /not one of Docker's: current value is 706c61696e207465$/u);
  await assert.rejects(decode([Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])]), (error) => hasEngineReason(error, 'EngineFault'));
});

test('LogFrameDecoder gives records that follow each other on one stream as one frame, of some 32 KiB at most', () => {
  const piece = 'x'.repeat(10_000);
  const streams = [1, 1, 2, 1, 1, 1, 1, 1, 1];
  const seen = new LogFrameDecoder().push(Buffer.concat(streams.map((stream) => encode(stream, piece))));
  assert.deepEqual(
    seen.map(({ stream, ends }) => [stream, ends?.length]),
    [
      ['stdout', 2],
      ['stderr', 1],
      ['stdout', 4],
      ['stdout', 2],
    ],
  );
});
