/**
 * One service's log as caractrl reads it, through whatever breaks on the way: a connection, the agent, the server, a move.
 *
 * Owns     the cursor, so that no line is lost or comes twice, and what is said of the time without contact.
 * Never    gives up while it follows, unless the Project is gone or the server refuses for good.
 * Callers  commands/logs.ts
 */
import { ApiError, fromProblem, hasReason } from '../../api/errors.ts';
import { advanceCursor, LOG_SILENCE_MS, type LogCursor, type LogRecord, type LogText } from '../../api/log-record.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { LogClient, LogQuery } from '../../client/log-client.ts';

const RETRY = { baseMs: 200, capMs: 5000 };
const PATIENCE_MS = 15_000; // without --follow, for a connection to come back
const TOLD_MS = 1000; // what a move or a restart takes anyway

/** What the merger gets of one service. */
export type SourceEvent =
  | { readonly kind: 'lines'; readonly lines: readonly LogText[] }
  /** a remark, for between the lines */
  | { readonly kind: 'note'; readonly text: string }
  /** nothing more is to come for now: what others have to tell need not wait */
  | { readonly kind: 'idle' };

export interface SourceOptions {
  readonly client: LogClient;
  readonly query: Omit<LogQuery, 'cursor'>;
  readonly clock: Clock;
  readonly random: Random;
}

export function readSource(options: SourceOptions, signal: AbortSignal): AsyncGenerator<SourceEvent> {
  return new Source(options, signal).run();
}

class Source {
  readonly #options: SourceOptions;
  readonly #signal: AbortSignal;
  readonly #backoff: Backoff;
  readonly #name: string;
  #cursor: LogCursor | undefined;
  #node: string | undefined;
  /** monotonic ms of the last that came; a line that is cut without a word is noticed later */
  #heardAtMs: number | undefined;
  /** monotonic ms since when there is no contact */
  #lostAtMs: number | undefined;
  /** since there is no contact */
  #failures = 0;
  /** what was said of why */
  #toldWhy: string | undefined;
  #hasEnded = false;
  #toldEnds = new Set<string>();

  constructor(options: SourceOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#backoff = new Backoff(RETRY, options.random);
    this.#name = `${options.query.project}/${options.query.service}`;
  }

  async *run(): AsyncGenerator<SourceEvent> {
    const { clock, query } = this.#options;
    for (;;) {
      try {
        yield* this.#readOnce();
        if (this.#hasEnded) {
          return;
        }
        this.#lostAtMs ??= this.#heardAtMs ?? clock.monotonicMs();
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#lostAtMs ??= this.#heardAtMs ?? clock.monotonicMs();
        const text = this.#judge(error);
        if (text !== undefined) {
          yield { kind: 'note', text };
        }
        if (query.follow && hasReason(error, 'NotFound')) {
          return;
        }
      }
      yield { kind: 'idle' };
      await clock.sleep(this.#backoff.nextMs(), this.#signal);
    }
  }

  /** @returns what to say of it; undefined: nothing, or nothing new @throws {ApiError} what only a person can mend */
  #judge(error: unknown): string | undefined {
    const { query, clock } = this.#options;
    const isBegun = this.#cursor !== undefined;
    const isPassing = error instanceof ApiError && (error.isRetryable || error.reason === 'Internal');
    if (query.follow && isBegun && hasReason(error, 'NotFound')) {
      return `${this.#name} is gone`;
    }
    if (!isPassing || (!query.follow && (!isBegun || query.previous === true || this.#lostForMs(clock) > PATIENCE_MS))) {
      throw error;
    }
    this.#failures += 1;
    const isNews = this.#toldWhy !== error.reason && (!isBegun || (this.#failures > 1 && this.#lostForMs(clock) >= TOLD_MS));
    if (!isNews) {
      return undefined;
    }
    this.#toldWhy = error.reason;
    return error.reason === 'NotRunning' ? `waiting: ${error.message}` : `no contact: ${error.message}; trying again`;
  }

  #lostForMs(clock: Clock): number {
    return this.#lostAtMs === undefined ? 0 : clock.monotonicMs() - this.#lostAtMs;
  }

  async *#readOnce(): AsyncGenerator<SourceEvent> {
    const { client, query } = this.#options;
    const records = client.read({ ...query, ...(this.#cursor !== undefined && { cursor: this.#cursor }) }, this.#signal);
    for await (const batch of withSilenceLimit(records, this.#options.clock)) {
      this.#heardAtMs = this.#options.clock.monotonicMs();
      let lines: LogText[] = [];
      for (const record of batch) {
        if (record.type === 'line' || record.type === 'lines') {
          lines.push(record);
          this.#cursor = advanceCursor(this.#cursor, record);
          continue;
        }
        if (lines.length > 0) {
          yield { kind: 'lines', lines };
          lines = [];
        }
        yield* this.#take(record);
      }
      if (lines.length > 0) {
        yield { kind: 'lines', lines };
      }
    }
  }

  *#take(record: Exclude<LogRecord, LogText>): Generator<SourceEvent> {
    switch (record.type) {
      case 'node':
        yield* this.#takeNode(record.name);
        break;
      case 'container': {
        const former = this.#cursor?.container;
        if (former !== undefined && former !== record.id && ![...this.#toldEnds].some((end) => end.startsWith(former))) {
          yield { kind: 'note', text: `${this.#name} runs in another container: what the former one wrote last may be missing` };
        }
        break;
      }
      case 'ended': {
        const end = `${record.container} ${record.at}`;
        if (!this.#toldEnds.has(end)) {
          this.#toldEnds.add(end);
          const how = record.exitCode === undefined ? 'has ended' : `has ended with exit code ${record.exitCode}`;
          yield { kind: 'note', text: `${this.#name} ${how}` };
        }
        break;
      }
      case 'live':
        yield { kind: 'idle' };
        break;
      case 'end':
        this.#hasEnded = true;
        break;
      case 'error':
        throw fromProblem(record.problem.status, record.problem);
      case 'ping':
        break;
      default:
        record satisfies never;
    }
    this.#cursor = advanceCursor(this.#cursor, record);
  }

  /** There is contact, with the agent of this node. */
  *#takeNode(node: string): Generator<SourceEvent> {
    const { clock } = this.#options;
    const before = this.#node ?? node;
    const wasLost = this.#lostAtMs !== undefined && this.#cursor !== undefined;
    const lostMs = this.#lostForMs(clock);
    this.#lostAtMs = undefined;
    this.#toldWhy = undefined;
    this.#failures = 0;
    this.#backoff.reset();
    this.#node = node;
    if (wasLost && (lostMs >= TOLD_MS || before === node)) {
      const seconds = lostMs < 10_000 ? (lostMs / 1000).toFixed(1) : String(Math.round(lostMs / 1000));
      yield { kind: 'note', text: `${seconds} s without contact with ${before}` };
    }
    if (before !== node) {
      yield { kind: 'note', text: `${this.#name} has moved from ${before} to ${node}` };
    }
  }
}

/** Ends with a failure where nothing comes for too long: agents give a sign of life every five seconds. */
async function* withSilenceLimit<Item>(items: AsyncIterable<Item>, clock: Clock): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]();
  const ended = new AbortController();
  /** of the item that is waited for; whoever takes its time with one that came is not waiting */
  let waiting: { readonly sinceMs: number; readonly reject: (error: unknown) => void } | undefined;
  const watch = async (): Promise<void> => {
    for (;;) {
      const nowMs = clock.monotonicMs();
      const silentMs = nowMs - (waiting?.sinceMs ?? nowMs);
      if (silentMs >= LOG_SILENCE_MS) {
        waiting?.reject(new ApiError('Unavailable', `Cannot read on as nothing has come for ${LOG_SILENCE_MS / 1000} s`));
      }
      await clock.sleep(silentMs >= LOG_SILENCE_MS ? LOG_SILENCE_MS : LOG_SILENCE_MS - silentMs, ended.signal);
    }
  };
  watch().catch(() => undefined); // all was read
  try {
    for (;;) {
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Item>>();
      waiting = { sinceMs: clock.monotonicMs(), reject };
      iterator.next().then(resolve, reject);
      const next = await promise;
      waiting = undefined;
      if (next.done === true) {
        return;
      }
      yield next.value;
    }
  } finally {
    ended.abort();
    void iterator.return?.(); // not awaited: it ends with its next item
  }
}
