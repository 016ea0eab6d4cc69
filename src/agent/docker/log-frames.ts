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

export class LogFrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** Takes the next chunk. @returns the frames that it completes. @throws {EngineError} EngineFault when this is no framed stream */
  push(chunk: Uint8Array): LogFrame[] {
    const rest = this.#rest.length === 0 ? viewOf(chunk) : Buffer.concat([this.#rest, chunk]);
    const frames: LogFrame[] = [];
    let at = 0;
    while (rest.length - at >= HEADER_BYTES) {
      const start = at + HEADER_BYTES;
      const end = start + payloadBytes(rest, at);
      if (rest.length < end) {
        break;
      }
      frames.push(toFrame(rest[at] ?? 0, rest.subarray(start, end)));
      at = end;
    }
    this.#rest = Buffer.from(rest.subarray(at)); // a copy: a few bytes must not keep the chunk alive
    return frames;
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

function toFrame(stream: number, bytes: Buffer): LogFrame {
  if (stream === 3) {
    throw new EngineError('EngineFault', `Cannot go on reading a container's output: ${bytes.toString('utf8').trim()}`);
  }
  return { stream: stream === 2 ? 'stderr' : 'stdout', bytes };
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
