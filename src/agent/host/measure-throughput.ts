/**
 * One measurement of the line to the server, bounded in bytes and in time; a direction that is too slow to be measured within these
 * bounds is left out.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { ThroughputLink } from '../../client/throughput-link.ts';

export interface MeasureOptions {
  readonly link: ThroughputLink;
  /** makes so many bytes to upload */
  readonly noise: (bytes: number) => Iterable<Uint8Array>;
  readonly clock: Clock;
  /** of each direction, at most */
  readonly maxBytes: number;
  /** of each direction, at most */
  readonly limitMs: number;
}

/** Bits per second, or undefined where nothing could be told within the limits. */
export type Speed = number | undefined;

/**
 * Measures from the first chunk on, which leaves connecting and waiting for the answer out. When the time is up, what has come counts.
 * @throws {ApiError} as the link does; the signal's reason
 */
export async function measureDownload({ link, clock, maxBytes, limitMs }: MeasureOptions, signal: AbortSignal): Promise<Speed> {
  using deadline = withDeadline(clock, limitMs, signal);
  let firstAtMs: number | undefined;
  let lastAtMs = 0;
  let bytes = 0;
  try {
    for await (const chunk of await link.download(maxBytes, deadline.signal)) {
      lastAtMs = clock.monotonicMs();
      if (firstAtMs === undefined) {
        firstAtMs = lastAtMs;
      } else {
        bytes += chunk.length;
      }
    }
  } catch (error) {
    rethrowUnlessTimeIsUp(error, deadline.signal, signal);
    lastAtMs = clock.monotonicMs(); // a line that fell silent was not fast
  }
  return firstAtMs === undefined ? undefined : toSpeed(bytes, lastAtMs - firstAtMs);
}

const FIRST_PART_BYTES = 64 * 1024;
const GROWTH = 16; // 64 KiB, 1 MiB (what proxies let through by default), the rest

/** Of the time left, that much may be planned for: a part that does not end in time was for nothing. */
const CAUTION = 0.8;

/**
 * Measures in parts that grow, each confirmed by the server: what was handed to the socket says little, as buffers on the way take
 * megabytes at once. The fastest part counts, mostly the last and largest: earlier ones pay for connecting and for TCP's slow start.
 * @throws {ApiError} as the link does; the signal's reason
 */
export async function measureUpload({ link, noise, clock, maxBytes, limitMs }: MeasureOptions, signal: AbortSignal): Promise<Speed> {
  using deadline = withDeadline(clock, limitMs, signal);
  const endMs = clock.monotonicMs() + limitMs;
  let best: Speed;
  let left = maxBytes;
  let partBytes = Math.min(FIRST_PART_BYTES, left);
  try {
    while (partBytes > 0) {
      const startedAtMs = clock.monotonicMs();
      await link.upload(noise(partBytes), deadline.signal);
      const nowMs = clock.monotonicMs();
      const speed = toSpeed(partBytes, nowMs - startedAtMs);
      best = Math.max(speed ?? 0, best ?? 0);
      left -= partBytes;
      partBytes = nextPart({ partBytes, left, inTimeBytes: ((speed ?? 0) / 8000) * (endMs - nowMs) * CAUTION });
    }
  } catch (error) {
    const isProxyLimit = best !== undefined && hasReason(error, 'PayloadTooLarge'); // smaller parts went through
    if (!isProxyLimit) {
      rethrowUnlessTimeIsUp(error, deadline.signal, signal);
    }
  }
  return best === 0 ? undefined : best;
}

/** @returns 0 for none: one that is no larger than the last would only be slower */
function nextPart(at: { readonly partBytes: number; readonly left: number; readonly inTimeBytes: number }): number {
  const bytes = Math.floor(Math.min(at.partBytes * GROWTH, at.left, at.inTimeBytes));
  return bytes > at.partBytes ? bytes : 0;
}

function toSpeed(bytes: number, ms: number): Speed {
  return bytes > 0 && ms > 0 ? (bytes * 8000) / ms : undefined;
}

function rethrowUnlessTimeIsUp(error: unknown, deadline: AbortSignal, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (!deadline.aborted) {
    throw error instanceof ApiError
      ? error
      : new ApiError('Unavailable', 'Cannot measure throughput as the connection was cut', { cause: error });
  }
}
