/**
 * Throughput monitor: how fast the line to the server is, measured after the first heartbeat and then daily.
 *
 * Owns     the latest result, in memory and through throughput-file.ts on disk.
 * Never    measures while an image is being pulled, before the server has taken a heartbeat, or more often than daily, however often
 *          the agent starts; sends or takes more than the limits; says anything about health.
 * Callers  each heartbeat reads `latest` (compose/link.ts); the heartbeater's onAccepted calls `serverAnswered`; composition.ts runs the loop.
 */
import { ApiError } from '../../api/errors.ts';
import { formatBitRate } from '../../api/node/throughput.ts';
import { Backoff } from '../../base/backoff.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { createNoise } from '../../base/noise.ts';
import { jitter, type Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { ThroughputLink } from '../../client/throughput-link.ts';
import { Outage } from '../outage.ts';
import { measureDownload, measureUpload, type Speed } from './measure-throughput.ts';
import { readThroughputFile, writeThroughputFile, type Throughput } from './throughput-file.ts';

const MAX_BYTES = 8 * 1024 * 1024; // each way; 100 Mbit/s take 0.7 s for it
const LIMIT_MS = 5000; // each way
const PERIOD_MS = 86_400_000;
const JITTER = 0.1;
const BUSY_WAIT_MS = 30_000;
const BUSY_LOOK_MS = 100; // while measuring: a pull that begins meanwhile does not share the line for longer

export interface ThroughputMonitor {
  /** of this or an earlier run of the agent; undefined: never measured */
  latest(): Throughput | undefined;
  /** The server has taken a heartbeat: only then is there a line to measure. */
  serverAnswered(): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface ThroughputMonitorOptions {
  readonly link: ThroughputLink;
  readonly serverUrl: string;
  /** of the file with the last result */
  readonly path: string;
  /** the first test comes within that time, in milliseconds: a fleet that starts together does not measure together */
  readonly spreadMs: number;
  /** whether an image is being pulled */
  readonly isBusy: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** each way; default 8 MiB */
  readonly maxBytes?: number;
  /** each way, in milliseconds; default 5 s */
  readonly limitMs?: number;
}

export function createThroughputMonitor(options: ThroughputMonitorOptions): ThroughputMonitor {
  const { path, serverUrl, isBusy, clock, random, log } = options;
  const answered = new Wakeup();
  const outage = new Outage(log, clock, 'throughput test');
  const backoff = new Backoff({ baseMs: 60_000, capMs: 3_600_000 }, random);
  const limits = { maxBytes: options.maxBytes ?? MAX_BYTES, limitMs: options.limitMs ?? LIMIT_MS };
  const measure = { link: options.link, noise: createNoise(random), clock, ...limits };
  let latest: Throughput | undefined;

  /** @throws {Postponed} when a pull begins meanwhile */
  async function test(signal: AbortSignal): Promise<void> {
    using watched = abortWhenBusy(isBusy, clock, signal);
    const download = await measureDownload(measure, watched.signal);
    const upload = await measureUpload(measure, watched.signal);
    if (download === undefined && upload === undefined) {
      throw new ApiError(
        'Unavailable',
        `Cannot measure throughput as the line was too slow for any of it within ${limits.limitMs / 1000} s`,
      );
    }
    latest = { ...written('download', download), ...written('upload', upload), lastTestTime: nowRfc3339(clock) };
    log.info(latest, 'throughput measured');
    await writeThroughputFile(path, serverUrl, latest).catch((error: unknown) =>
      log.warn({ path, detail: String(error) }, 'throughput cannot be kept: it is measured again at the next start'),
    );
  }

  /** @returns how long to wait for the next one, in milliseconds */
  async function attempt(signal: AbortSignal): Promise<number> {
    if (isBusy()) {
      return BUSY_WAIT_MS;
    }
    try {
      await test(signal);
      outage.recovered();
      backoff.reset();
      return jitter(random, PERIOD_MS, JITTER);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Postponed) {
        return BUSY_WAIT_MS;
      }
      return waitAfter(error);
    }
  }

  function waitAfter(error: unknown): number {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    if (error.reason === 'TooManyRequests') {
      return (error.retryAfterMs ?? 0) + backoff.nextMs(); // others measure: nothing fails
    }
    outage.failed(error);
    return error.isRetryable ? backoff.nextMs() : jitter(random, PERIOD_MS, JITTER); // such as 404 from an older server
  }

  return {
    latest: () => latest,
    serverAnswered: () => answered.notify(),
    run: async (signal) => {
      latest = await readThroughputFile(path, serverUrl);
      await answered.wait(clock, Infinity, signal);
      let waitMs = dueInMs(latest, clock.wallMs()) + random.next() * options.spreadMs;
      for (;;) {
        await clock.sleep(waitMs, signal);
        waitMs = await attempt(signal);
      }
    },
  };
}

/** How long until the next test, by what was kept; the wall clock is all there is, so a time in the future counts as none. */
function dueInMs(last: Throughput | undefined, wallMs: number): number {
  const ageMs = last === undefined ? NaN : wallMs - Date.parse(last.lastTestTime);
  return ageMs >= 0 && ageMs < PERIOD_MS ? PERIOD_MS - ageMs : 0;
}

function written<Key extends string>(key: Key, speed: Speed): { readonly [K in Key]?: string } {
  return speed === undefined ? {} : ({ [key]: formatBitRate(speed) } as { readonly [K in Key]: string });
}

class Postponed extends Error {
  override readonly name = 'Postponed';
}

/** A signal that aborts with `signal`, or with Postponed as soon as `isBusy`; dispose of it when the work is done. */
function abortWhenBusy(
  isBusy: () => boolean,
  clock: Clock,
  signal: AbortSignal,
): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  const busy = new AbortController();
  const ended = new AbortController();
  const look = async (): Promise<void> => {
    while (!isBusy()) {
      await clock.sleep(BUSY_LOOK_MS, ended.signal);
    }
    busy.abort(new Postponed('An image is being pulled'));
  };
  look().catch(() => undefined); // disposed: nobody waits for it any more
  return { signal: AbortSignal.any([signal, busy.signal]), [Symbol.dispose]: () => ended.abort() };
}
