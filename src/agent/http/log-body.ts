/**
 * Log records as the body of an answer: JSON lines, no faster than they are taken.
 *
 * What comes within some milliseconds goes out together: an engine hands out a busy log line by line, and each piece of its own costs every
 * program on the way a call into the kernel. What comes after a pause goes out at once.
 * Callers  logs.ts
 */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { LOG_PING_MS, splitBatch, type LogBatch, type LogRecord } from '../../api/log-record.ts';
import type { Clock } from '../../base/clock.ts';

const GATHER_MS = 10;
const FULL_CHARACTERS = 32 * 1024;
const PING = toLine({ type: 'ping' });

export interface LogBodyOptions {
  readonly clock: Clock;
  /** whoever reads it knows records of many lines */
  readonly isBatched: boolean;
}

/** Has a sign of life wherever there is nothing to tell for five seconds. */
export function toLogBody(
  batches: AsyncIterable<readonly LogRecord[]>,
  { clock, isBatched }: LogBodyOptions,
  signal: AbortSignal,
): PassThrough {
  const body = new PassThrough();
  const closed = new AbortController();
  body.once('close', () => closed.abort());
  body.on('error', () => undefined); // whoever reads it learns; this side ends by 'close'
  const gathered = new Gathered(isBatched);
  let isQuiet = true;
  let isTimed = false;
  let dueMs = -Infinity;
  const flush = (): void => {
    if (gathered.length > 0) {
      dueMs = clock.monotonicMs() + GATHER_MS;
      body.write(gathered.take());
    }
  };
  const flushLater = async (): Promise<void> => {
    isTimed = true;
    await clock.sleep(GATHER_MS, closed.signal);
    isTimed = false;
    flush();
  };
  const pump = async (): Promise<void> => {
    for await (const records of batches) {
      isQuiet = false;
      records.forEach((record) => gathered.add(record));
      if (gathered.length >= FULL_CHARACTERS || clock.monotonicMs() >= dueMs) {
        flush();
      } else if (!isTimed) {
        flushLater().catch(() => undefined); // aborted: nobody reads any more
      }
      if (body.writableNeedDrain) {
        await once(body, 'drain', { signal: closed.signal });
      }
    }
    flush();
    body.end();
  };
  const tick = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOG_PING_MS, AbortSignal.any([signal, closed.signal]));
      if (isQuiet && !body.writableNeedDrain && !body.writableEnded) {
        body.write(PING);
      }
      isQuiet = true;
    }
  };
  pump().catch((error: unknown) => body.destroy(error as Error));
  tick().catch(() => undefined); // aborted: the reading has ended
  return body;
}

/** Records that go out together, those of whole lines of one stream as one. */
class Gathered {
  readonly #isBatched: boolean;
  #lines = '';
  #batch: LogBatch | undefined;

  constructor(isBatched: boolean) {
    this.#isBatched = isBatched;
  }

  get length(): number {
    return this.#lines.length + (this.#batch?.text.length ?? 0);
  }

  add(record: LogRecord): void {
    if (record.type === 'lines' && this.#isBatched && record.stream === this.#batch?.stream) {
      this.#batch = { ...this.#batch, text: this.#batch.text + record.text };
      return;
    }
    this.#endBatch();
    if (record.type !== 'lines') {
      this.#lines += toLine(record);
    } else if (this.#isBatched) {
      this.#batch = record;
    } else {
      this.#lines += splitBatch(record).map(toLine).join('');
    }
  }

  take(): string {
    this.#endBatch();
    const lines = this.#lines;
    this.#lines = '';
    return lines;
  }

  #endBatch(): void {
    if (this.#batch !== undefined) {
      this.#lines += toLine(this.#batch);
      this.#batch = undefined;
    }
  }
}

function toLine(record: LogRecord): string {
  return `${JSON.stringify(record)}\n`;
}
