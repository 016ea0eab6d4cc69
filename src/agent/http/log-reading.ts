/**
 * Reads a service's log: the container's, and for who follows on through its restarts and those that take its place.
 *
 * Owns     nothing: where a reader is, is in its cursor, which it brings along. So what breaks costs no line and repeats none, as long as
 *          the engine has the container's log.
 * Never    reads faster than it is asked for; what is not taken waits in the engine.
 * Callers  logs.ts
 */
import { toProblem, ApiError } from '../../api/errors.ts';
import {
  advanceCursor,
  createSeen,
  earliestUnseen,
  filterText,
  timeOf,
  toLogTime,
  type LogCursor,
  type LogRecord,
  type LogText,
} from '../../api/log-record.ts';
import type { Clock } from '../../base/clock.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { EngineError, hasEngineReason } from '../docker/engine-error.ts';
import type { ContainerLogsOptions, Engine } from '../docker/engine.ts';
import type { KeptLogs } from '../logs/kept-logs.ts';
import { createLineDecoder } from './log-lines.ts';
import { createRepeatFilter } from './repeat-filter.ts';
import { findContainer, type ContainerSources, type ServiceName } from './service-container.ts';

/** ms between looks at a container that has ended, or is yet to be made. */
const LOOK_MS = 500;

/** Records from the log's end that are looked at first when a reader comes back: its place is mostly among them. */
const WINDOW = 1000;

export interface LogSources extends ContainerSources {
  readonly engine: Pick<Engine, 'listContainers' | 'inspectContainer' | 'containerLogs'>;
  readonly clock: Clock;
  /** what removed containers wrote last */
  readonly kept?: Pick<KeptLogs, 'find'> | undefined;
}

export interface LogRequest {
  readonly name: ServiceName;
  readonly follow: boolean;
  /** how many of the last records to begin with; undefined: all */
  readonly tail: number | undefined;
  /** begins with what was written then; as records have it */
  readonly since: string | undefined;
  readonly cursor: LogCursor | undefined;
}

type Batch = readonly LogRecord[];

/** Batches of records; ends when all is told, with `follow` never. What fails for good is told by a record. */
export async function* readLog(sources: LogSources, request: LogRequest, signal: AbortSignal): AsyncGenerator<Batch> {
  const reader = new Reader(sources, request, signal);
  try {
    for (;;) {
      try {
        yield* reader.read();
        break;
      } catch (error) {
        if (!request.follow || !(error instanceof EngineError) || !(error.isRetryable || error.reason === 'NotFound')) {
          throw error;
        }
        await sources.clock.sleep(LOOK_MS, signal); // the engine restarts, or the container goes: it is looked for again
      }
    }
    yield [{ type: 'end' }];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof EngineError)) {
      throw error;
    }
    yield [{ type: 'error', problem: toProblem(new ApiError('Unavailable', error.message)) }];
  }
}

class Reader {
  readonly #sources: LogSources;
  readonly #request: LogRequest;
  readonly #signal: AbortSignal;
  #cursor: LogCursor | undefined;
  #isLive = false;
  /** container and end of its run that the reader was told of */
  #toldEnd = '';

  constructor(sources: LogSources, request: LogRequest, signal: AbortSignal) {
    this.#sources = sources;
    this.#request = request;
    this.#signal = signal;
    this.#cursor = request.cursor;
  }

  async *read(): AsyncGenerator<Batch> {
    const { follow } = this.#request;
    yield* this.#readFormer();
    for (;;) {
      const detail = await this.#next();
      if (detail === undefined) {
        return;
      }
      this.#toldEnd ||= `${detail.id} ${detail.state.isRunning ? detail.state.finishedAt : undefined}`; // of a run before: no news
      yield [this.#note({ type: 'container', id: detail.id })];
      if (!this.#isLive || !follow) {
        const time = toLogTime(new Date(this.#sources.clock.wallMs()).toISOString()) ?? '';
        yield* this.#readLines(detail, { follow: false });
        if (!follow) {
          return;
        }
        this.#isLive = true;
        yield [this.#note({ type: 'live', time })];
      }
      yield* this.#readLines(detail, { follow: true });
      yield* this.#readLines(detail, { follow: false }); // what it wrote last may come behind the stream's end
      yield* this.#readKept(); // or it has been removed by now
      yield* this.#tellEnd(detail.id);
    }
  }

  /** Ends what was begun in a container that has been replaced since, where its log is still there. */
  async *#readFormer(): AsyncGenerator<Batch> {
    const former = this.#cursor?.container;
    const current = await findContainer(this.#sources, this.#request.name, this.#signal);
    if (former === undefined || former === current?.id) {
      return;
    }
    const detail = await this.#sources.engine.inspectContainer(former, this.#signal);
    if (detail !== undefined && !detail.state.isRunning) {
      yield [this.#note({ type: 'container', id: detail.id })];
      yield* this.#readLines(detail, { follow: false });
    }
    if (detail === undefined) {
      yield* this.#readKept();
    }
  }

  /** The rest of what was begun in a container that is gone, where the agent has kept its end. */
  async *#readKept(): AsyncGenerator<Batch> {
    const cursor = this.#cursor;
    if (cursor?.stdout === undefined) {
      return;
    }
    const kept = await this.#sources.kept?.find(this.#request.name);
    if (kept?.container !== cursor.container) {
      return;
    }
    yield [{ type: 'container', id: kept.container }];
    const isSeen = createSeen(cursor);
    const texts = kept.texts.flatMap((text) => filterText(text, (line) => !isSeen(line)));
    texts.forEach((text) => this.#note(text));
    yield texts;
  }

  /** The container to read: of a follower one that runs, unless it has not read it yet. Waits for it. */
  async #next(): Promise<ContainerDetail | undefined> {
    const { engine, clock } = this.#sources;
    for (;;) {
      const found = await findContainer(this.#sources, this.#request.name, this.#signal);
      const detail = found && (await engine.inspectContainer(found.id, this.#signal));
      const isNews = detail !== undefined && (detail.state.isRunning || detail.id !== this.#cursor?.container || !this.#isLive);
      if (isNews || !this.#request.follow) {
        return detail;
      }
      await clock.sleep(LOOK_MS, this.#signal);
    }
  }

  async *#tellEnd(id: string): AsyncGenerator<Batch> {
    const state = (await this.#sources.engine.inspectContainer(id, this.#signal))?.state;
    const at = state?.finishedAt;
    const end = `${id} ${at ?? 'gone'}`;
    if ((state === undefined || at !== undefined) && end !== this.#toldEnd) {
      this.#toldEnd = end;
      yield [
        { type: 'ended', container: id, ...(at !== undefined && { at }), ...(state?.isRunning === false && { exitCode: state.exitCode }) },
      ];
    } else {
      await this.#sources.clock.sleep(LOOK_MS, this.#signal); // the engine closed the stream for another reason
    }
  }

  async *#readLines(detail: ContainerDetail, { follow }: { readonly follow: boolean }): AsyncGenerator<Batch> {
    const { tail, since } = this.#request;
    const cursor = this.#cursor;
    const isBegun = cursor?.container === detail.id && cursor.stdout !== undefined;
    const former = this.#request.cursor;
    const isFirst = !this.#isLive && (former?.stdout === undefined || former.container === detail.id); // nothing has been told of any yet
    const batches = isBegun
      ? this.#resume(detail, cursor, { follow })
      : this.#open(detail, { follow, ...(isFirst && { ...(tail !== undefined && { tail }), ...(since !== undefined && { since }) }) });
    for await (const texts of batches) {
      texts.forEach((text) => this.#note(text));
      if (texts.length > 0) {
        yield texts;
      }
    }
  }

  /** What the reader has not seen. */
  async *#resume(detail: ContainerDetail, cursor: LogCursor, { follow }: { readonly follow: boolean }): AsyncGenerator<readonly LogText[]> {
    const isSeen = createSeen(cursor);
    let reaches: boolean | undefined; // whether the window begins with what the reader has seen
    for await (const texts of this.#open(detail, { follow, tail: WINDOW })) {
      const [first] = texts;
      reaches ??= first === undefined ? undefined : timeOf(first) < (cursor[first.stream]?.time ?? '');
      if (reaches === false) {
        break;
      }
      yield texts.flatMap((text) => filterText(text, (line) => !isSeen(line)));
    }
    if (reaches === false) {
      const isSeenAnew = createSeen(cursor);
      const since = earliestUnseen(cursor);
      for await (const texts of this.#open(detail, { follow, ...(since !== undefined && { since }) })) {
        yield texts.flatMap((text) => filterText(text, (line) => !isSeenAnew(line)));
      }
    }
  }

  async *#open(detail: ContainerDetail, options: ContainerLogsOptions): AsyncGenerator<readonly LogText[]> {
    const decoder = createLineDecoder(detail.hasTty);
    const unrepeated = options.follow === true ? createRepeatFilter(this.#sources.clock) : (texts: readonly LogText[]) => texts;
    try {
      for await (const frames of await this.#sources.engine.containerLogs(detail.id, { ...options, timestamps: true }, this.#signal)) {
        yield unrepeated(decoder.push(frames));
      }
    } catch (error) {
      if (!hasEngineReason(error, 'NotFound')) {
        throw error;
      }
      return; // removed meanwhile
    }
    yield decoder.end();
  }

  #note<Item extends LogRecord>(record: Item): Item {
    this.#cursor = advanceCursor(this.#cursor, record);
    return record;
  }
}
