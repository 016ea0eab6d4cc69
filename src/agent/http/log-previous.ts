/**
 * `--previous`: what was written before the run that goes on now, or that was the last one.
 *
 * The engine starts a container again with the same log, so the runs are told apart by the time at which the last one began. Of a container
 * that has been replaced there is what the engine still has, or what the agent kept when it removed it.
 * Callers  logs.ts
 */
import { ApiError } from '../../api/errors.ts';
import { filterText, splitBatch, timeOf, toLogTime, type LogLine, type LogRecord, type LogText } from '../../api/log-record.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { findContainerOwner } from '../docker/names.ts';
import type { KeptLog } from '../logs/kept-logs.ts';
import { createLineDecoder } from './log-lines.ts';
import type { LogRequest, LogSources } from './log-reading.ts';
import { listContainers, type ServiceName } from './service-container.ts';

/** What the last lines may take while they are looked for; more than any terminal shows. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

export type PreviousRun =
  /** `until`: when the run after it began; undefined: there was none in this container */
  | { readonly kind: 'engine'; readonly detail: ContainerDetail; readonly until: string | undefined; readonly endedAt: string }
  | { readonly kind: 'kept'; readonly kept: KeptLog; readonly endedAt: string };

/** The run that ended last before the current one. @throws {ApiError} NotRunning */
export async function findPrevious(sources: LogSources, name: ServiceName, signal: AbortSignal): Promise<PreviousRun> {
  const [current, former] = await listContainers(sources, name, signal);
  const inspect = async (id: string | undefined): Promise<ContainerDetail | undefined> =>
    id === undefined ? undefined : await sources.engine.inspectContainer(id, signal);
  const detail = await inspect(current?.id);
  const before = await inspect(former?.id);
  const kept = await sources.kept?.find(name);
  const isOfProject = detail === undefined || findContainerOwner(detail.labels)?.projectUid === kept?.projectUid;
  const runs: readonly (PreviousRun | undefined)[] = [
    detail && earlierRun(detail),
    before && { kind: 'engine', detail: before, until: undefined, endedAt: endOf(before) },
    kept && isOfProject ? { kind: 'kept', kept, endedAt: kept.endedAt } : undefined,
  ];
  const [last] = runs.filter((run) => run !== undefined).toSorted((left, right) => (left.endedAt < right.endedAt ? 1 : -1));
  if (last !== undefined) {
    return last;
  }
  const what = `Cannot show what ${name.project}/${name.service} wrote before`;
  throw new ApiError(
    'NotRunning',
    detail === undefined
      ? `${what} as it has no container on this node yet`
      : `${what} as its container has neither been restarted nor replaced on this node: leave out --previous to read what it writes now`,
  );
}

/** The runs of a container before the one that it began last. */
function earlierRun(detail: ContainerDetail): PreviousRun | undefined {
  const until = toLogTime(detail.state.startedAt ?? '');
  return until === undefined || detail.state.finishedAt === undefined
    ? undefined
    : { kind: 'engine', detail, until, endedAt: endOf(detail) };
}

function endOf({ state }: ContainerDetail): string {
  return toLogTime(state.finishedAt ?? '') ?? '';
}

export async function* readPrevious(
  sources: LogSources,
  { run, tail, since }: { readonly run: PreviousRun } & Pick<LogRequest, 'tail' | 'since'>,
  signal: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  yield [{ type: 'container', id: run.kind === 'kept' ? run.kept.container : run.detail.id }];
  const last = tail === undefined ? undefined : new LastLines(tail);
  for await (const texts of run.kind === 'kept' ? sinceThen(run.kept, since) : readRun(sources, { ...run, since }, signal)) {
    if (last === undefined) {
      yield texts;
    } else {
      last.push(texts);
    }
  }
  yield last?.take() ?? [];
  yield [{ type: 'end' }];
}

function* sinceThen({ texts }: KeptLog, since: string | undefined): Generator<readonly LogText[]> {
  for (const text of texts) {
    yield since === undefined || timeOf(text) >= since ? [text] : filterText(text, ({ time }) => time >= since);
  }
}

async function* readRun(
  { engine }: LogSources,
  { detail, until, since }: { readonly detail: ContainerDetail; readonly until: string | undefined; readonly since: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<readonly LogText[]> {
  const decoder = createLineDecoder(detail.hasTty);
  const options = { timestamps: true, ...(until !== undefined && { until }), ...(since !== undefined && { since }) };
  for await (const frames of await engine.containerLogs(detail.id, options, signal)) {
    yield decoder.push(frames).flatMap((text) => (until === undefined ? [text] : filterText(text, ({ time }) => time < until)));
  }
}

/** The last of what goes by, bounded in number and in bytes. */
class LastLines {
  readonly #count: number;
  #lines: LogLine[] = [];
  #bytes = 0;

  constructor(count: number) {
    this.#count = count;
  }

  push(texts: readonly LogText[]): void {
    for (const line of texts.flatMap((text) => (text.type === 'lines' ? splitBatch(text) : [text]))) {
      this.#lines.push(line);
      this.#bytes += sizeOf(line);
    }
    let dropped = 0;
    while (this.#lines.length - dropped > this.#count || this.#bytes > MAX_HELD_BYTES) {
      const oldest = this.#lines[dropped];
      if (oldest === undefined) {
        break;
      }
      this.#bytes -= sizeOf(oldest);
      dropped += 1;
    }
    this.#lines = this.#lines.slice(dropped);
  }

  take(): readonly LogLine[] {
    return this.#lines;
  }
}

function sizeOf({ text = '', base64 = '' }: LogLine): number {
  return 100 + text.length + base64.length; // the object around it
}
