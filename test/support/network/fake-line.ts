/** A line to the server in virtual time: so many bits a second in each direction, after so much latency. */
import { ApiError } from '../../../src/api/errors.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { ThroughputLink } from '../../../src/client/throughput-link.ts';

export interface LineOptions {
  readonly bitsPerSecond: number;
  /** of the way there and back */
  readonly latencyMs?: number;
  /** a download brings nothing more after so many bytes */
  readonly stallAtBytes?: number;
  /** an upload larger than that gets 413 */
  readonly proxyLimitBytes?: number;
  /** thrown by each transfer, after the latency */
  readonly failure?: Error;
}

export interface FakeLine extends ThroughputLink {
  /** transfers that were begun */
  readonly calls: number;
  /** that were sent or received */
  readonly bytes: number;
  /** Every transfer from now on fails so; undefined: none does. */
  fail(error: Error | undefined): void;
}

const CHUNK_BYTES = 64 * 1024;

export function fakeLine(clock: Clock, options: LineOptions): FakeLine {
  const { bitsPerSecond, latencyMs = 0, stallAtBytes = Infinity, proxyLimitBytes = Infinity } = options;
  let { failure } = options;
  let calls = 0;
  let bytes = 0;

  async function carry(size: number, signal: AbortSignal): Promise<void> {
    await clock.sleep((size * 8000) / bitsPerSecond, signal);
    bytes += size;
  }

  async function begin(signal: AbortSignal): Promise<void> {
    calls += 1;
    await clock.sleep(latencyMs, signal);
    if (failure !== undefined) {
      throw failure;
    }
  }

  async function* receive(size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; left -= CHUNK_BYTES) {
      await (size - left >= stallAtBytes ? clock.sleep(3_600_000, signal) : carry(Math.min(CHUNK_BYTES, left), signal));
      yield new Uint8Array(Math.min(CHUNK_BYTES, left));
    }
  }

  return {
    download: async (size, signal) => {
      await begin(signal);
      return receive(size, signal);
    },
    upload: async (chunks, signal) => {
      await begin(signal);
      const size = [...chunks].reduce((sum, chunk) => sum + chunk.length, 0);
      if (size > proxyLimitBytes) {
        throw new ApiError('PayloadTooLarge', 'Body too large (HTTP 413)');
      }
      await carry(size, signal);
    },
    get calls() {
      return calls;
    },
    get bytes() {
      return bytes;
    },
    fail: (error) => (failure = error),
  };
}
