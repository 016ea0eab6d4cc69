/**
 * Takes apart the stream in which the engine interleaves a container's stdout and stderr.
 *
 * Each frame: one byte for the stream (0 stdin, 1 stdout, 2 stderr, 3 the engine's own failure), three zero bytes,
 * the payload's length in four bytes, big-endian, then the payload. Chunks of the connection cut it anywhere.
 * Source   Docker Engine API v1.41, "Attach to a container", stream format; moby pkg/stdcopy.
 */
import type { LogFrame } from './docker-types.ts';
import { EngineError } from './engine-error.ts';

const HEADER_BYTES = 8;
const MAX_FRAME_BYTES = 16 * 1024 * 1024; // the engine's own are at most 16 KiB and a time; more means that this is no such stream
const MAX_RUN_BYTES = 32 * 1024; // of records that are handed on as one

export class LogFrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Takes the next chunk, which is the decoder's from then on: payloads are moved together in it, as an object for each of millions of lines
   * costs more than all else.
   * @returns the records that it completes, those that follow each other on one stream as one
   * @throws {EngineError} EngineFault when this is no framed stream
   */
  push(chunk: Uint8Array): LogFrame[] {
    const bytes = this.#rest.length === 0 ? viewOf(chunk) : Buffer.concat([this.#rest, chunk]);
    const runs: Run[] = [];
    let run: Run | undefined;
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const start = at + HEADER_BYTES;
      const end = start + payloadBytes(bytes, at);
      if (bytes.length < end) {
        break;
      }
      const stream = streamOf(bytes, at, end);
      if (run === undefined || run.stream !== stream || run.end - run.start > MAX_RUN_BYTES) {
        run = { stream, start, end: start, ends: [] };
        runs.push(run);
      }
      bytes.copyWithin(run.end, start, end);
      run.end += end - start;
      run.ends.push(run.end - run.start);
      at = end;
    }
    this.#rest = Buffer.from(bytes.subarray(at)); // a copy: a few bytes must not keep the chunk alive
    return runs.map(({ stream, start, end, ends }) => ({ stream, bytes: bytes.subarray(start, end), ends }));
  }

  /** True when the stream has ended in the middle of a frame. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }
}

/** The same bytes. */
function viewOf(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function payloadBytes(bytes: Buffer, at: number): number {
  const stream = bytes[at] ?? 0;
  const length = bytes.readUInt32BE(at + 4);
  if (stream > 3 || bytes[at + 1] !== 0 || bytes[at + 2] !== 0 || bytes[at + 3] !== 0 || length > MAX_FRAME_BYTES) {
    const current = bytes.subarray(at, at + HEADER_BYTES).toString('hex');
    throw new EngineError(
      'EngineFault',
      `Cannot read container logs as a frame header is not one of Docker's: current value is ${current}`,
    );
  }
  return length;
}

/** Records of one stream that stand behind each other, in the bytes that they came in. */
interface Run {
  readonly stream: LogFrame['stream'];
  readonly start: number;
  end: number;
  readonly ends: number[];
}

function streamOf(bytes: Buffer, at: number, end: number): LogFrame['stream'] {
  const stream = bytes[at] ?? 0;
  if (stream === 3) {
    throw new EngineError(
      'EngineFault',
      `Cannot go on reading a container's output: ${bytes.toString('utf8', at + HEADER_BYTES, end).trim()}`,
    );
  }
  return stream === 2 ? 'stderr' : 'stdout';
}

/**
 * Makes frames of the chunks of a connection, those that a chunk completes together: a long log has millions. Containers with a terminal
 * have no frames: all is stdout, as it comes.
 */
export async function* decodeLogFrames(chunks: AsyncIterable<Uint8Array>, hasTty: boolean): AsyncGenerator<readonly LogFrame[]> {
  const decoder = new LogFrameDecoder();
  for await (const chunk of chunks) {
    const frames: readonly LogFrame[] = hasTty ? [{ stream: 'stdout', bytes: chunk }] : decoder.push(chunk);
    if (frames.length > 0) {
      yield frames;
    }
  }
  if (decoder.hasRest) {
    throw new EngineError('EngineUnreachable', 'Cannot read container logs to their end: the engine closed the connection within a frame');
  }
}
