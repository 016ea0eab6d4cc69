/**
 * `--previous`: what was written before the run that goes on now, or that was the last one.
 *
 * The engine starts a container again with the same log, so the runs are told apart by the time at which the last one began.
 * Callers  logs.ts
 */
import { ApiError } from '../../api/errors.ts';
import { toLogTime, type LogLine, type LogRecord } from '../../api/log-record.ts';
import { createLineDecoder } from './log-lines.ts';
import type { LogRequest, LogSources } from './log-reading.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { listContainers, type ServiceName } from './service-container.ts';

/** What the last lines may take while they are looked for; more than any terminal shows. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

export interface PreviousRun {
  readonly detail: ContainerDetail;
  /** when the run after it began; undefined: there was none in this container */
  readonly until: string | undefined;
}

/** The run before the current one: of the container itself, or of the one before it where that is still there. @throws {ApiError} NotRunning */
export async function findPrevious(sources: LogSources, name: ServiceName, signal: AbortSignal): Promise<PreviousRun> {
  const what = `Cannot show what ${name.project}/${name.service} wrote before`;
  const [current, former] = await listContainers(sources, name, signal);
  const detail = current && (await sources.engine.inspectContainer(current.id, signal));
  if (detail === undefined) {
    throw new ApiError('NotRunning', `${what} as it has no container on this node yet`);
  }
  const until = toLogTime(detail.state.startedAt ?? '');
  if (until !== undefined && detail.state.finishedAt !== undefined) {
    return { detail, until };
  }
  const before = former && (await sources.engine.inspectContainer(former.id, signal));
  if (before === undefined) {
    throw new ApiError('NotRunning', `${what} as its container has not been restarted, and the one before is gone with its log`);
  }
  return { detail: before, until: undefined };
}

export async function* readPrevious(
  { engine }: LogSources,
  { detail, until, tail, since }: PreviousRun & Pick<LogRequest, 'tail' | 'since'>,
  signal: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  yield [{ type: 'container', id: detail.id }];
  const decoder = createLineDecoder(detail.hasTty);
  const last = tail === undefined ? undefined : new LastLines(tail);
  const options = { timestamps: true, ...(until !== undefined && { until }), ...(since !== undefined && { since }) };
  for await (const frames of await engine.containerLogs(detail.id, options, signal)) {
    const lines = decoder.push(frames).filter(({ time }) => until === undefined || time < until);
    if (last === undefined) {
      yield lines;
    } else {
      last.push(lines);
    }
  }
  yield last?.take() ?? [];
  yield [{ type: 'end' }];
}

/** The last of what goes by, bounded in number and in bytes. */
class LastLines {
  readonly #count: number;
  #lines: LogLine[] = [];
  #bytes = 0;

  constructor(count: number) {
    this.#count = count;
  }

  push(lines: readonly LogLine[]): void {
    for (const line of lines) {
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
