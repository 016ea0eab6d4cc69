/**
 * The end of what a container wrote that the agent has removed, as after an update: the engine deletes a container's log with it, and
 * `caractrl logs --previous` is for just those.
 *
 * Owns     DATA_DIR/former-logs: a folder a Project, a file a service, of the container that went last; all for the agent's user alone.
 * Never    keeps more than some megabytes a service or holds more than one of them in memory; stands in the way of a removal.
 * Callers  reconcile/project-loop.ts keeps (a step of effects.ts), reconcile/reconciler.ts drops; http/log-previous.ts and
 *          http/log-reading.ts read.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toLogTime, type LogText } from '../../api/log-record.ts';
import { writeFileAtomically } from '../../base/atomic-file.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { makeDataDir } from '../../base/data-dir.ts';
import { ignoreAbsence } from '../../base/file-error.ts';
import type { Logger } from '../../base/log.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { findContainerOwner } from '../docker/names.ts';
import type { ServiceName } from '../http/service-container.ts';
import { createLineDecoder } from '../http/log-lines.ts';

const MAX_LINES = 5000;
const MAX_CHARACTERS = 1024 * 1024;
const TIMEOUT_MS = 10_000; // an engine that takes longer to read the end of a file is in trouble

/** What is kept of a container. */
export interface KeptLog {
  readonly container: string;
  readonly projectUid: string;
  /** RFC 3339 with nine digits; '' where the engine does not say */
  readonly endedAt: string;
  readonly texts: readonly LogText[];
}

export interface KeptLogs {
  /** Keeps the end of a container's log in place of the one kept before. Never fails; what cannot be kept is logged. */
  keep(name: ServiceName, containerId: string, signal: AbortSignal): Promise<void>;
  /** Of the service's container that was removed last. */
  find(name: ServiceName): Promise<KeptLog | undefined>;
  /** Forgets a Project. Never fails. */
  drop(project: string): Promise<void>;
  /** Forgets all other Projects. Never fails. */
  keepOnly(projects: ReadonlySet<string>): Promise<void>;
}

export interface KeptLogsOptions {
  readonly folder: string;
  readonly engine: Pick<Engine, 'inspectContainer' | 'containerLogs'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createKeptLogs({ folder, engine, clock, log }: KeptLogsOptions): KeptLogs {
  let turn: Promise<unknown> = Promise.resolve(); // one at a time, as each holds the end of a log
  const pathOf = ({ project, service }: ServiceName): string => join(folder, project, `${service}.log`);

  async function keepNow(name: ServiceName, containerId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    using deadline = withDeadline(clock, TIMEOUT_MS, signal);
    const detail = await engine.inspectContainer(containerId, deadline.signal);
    if (detail?.state.startedAt === undefined) {
      return; // it never ran: the one before it is the one to read
    }
    const kept = await readEnd(engine, detail, deadline.signal);
    await makeDataDir(join(folder, name.project));
    await writeFileAtomically(pathOf(name), toContent(kept));
  }

  async function drop(project: string): Promise<void> {
    try {
      await rm(join(folder, project), { recursive: true, force: true });
    } catch (err) {
      log.warn({ err, project }, 'kept logs cannot be removed');
    }
  }

  return {
    keep: async (name, containerId, signal) => {
      const kept = turn.then(async () => await keepNow(name, containerId, signal));
      turn = kept.catch(() => undefined);
      try {
        await kept;
      } catch (err) {
        signal.throwIfAborted();
        log.warn({ err, ...name, containerId }, 'log of a removed container cannot be kept');
      }
    },
    find: async (name) => fromContent(await readFile(pathOf(name), 'utf8').catch(ignoreAbsence)),
    drop,
    keepOnly: async (projects) => {
      const there = await readdir(folder).catch(() => []); // nothing was ever kept, or nothing can be done about it
      for (const project of there.filter((name) => !projects.has(name))) {
        await drop(project);
      }
    },
  };
}

async function readEnd(engine: KeptLogsOptions['engine'], detail: ContainerDetail, signal: AbortSignal): Promise<KeptLog> {
  const decoder = createLineDecoder(detail.hasTty);
  const last = new LastTexts(MAX_CHARACTERS);
  for await (const frames of await engine.containerLogs(detail.id, { tail: MAX_LINES, timestamps: true }, signal)) {
    last.push(decoder.push(frames));
  }
  last.push(decoder.end());
  return {
    container: detail.id,
    projectUid: findContainerOwner(detail.labels)?.projectUid ?? '',
    endedAt: toLogTime(detail.state.finishedAt ?? '') ?? '',
    texts: last.take(),
  };
}

/** The last of what goes by, in so many characters. */
class LastTexts {
  readonly #limit: number;
  #texts: LogText[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(texts: readonly LogText[]): void {
    for (const text of texts) {
      this.#texts.push(text);
      this.#length += lengthOf(text);
    }
    let dropped = 0;
    for (let oldest = this.#texts[0]; oldest !== undefined && this.#length > this.#limit; oldest = this.#texts[dropped]) {
      this.#length -= lengthOf(oldest);
      dropped += 1;
    }
    this.#texts.splice(0, dropped);
  }

  take(): readonly LogText[] {
    return this.#texts;
  }
}

function lengthOf(text: LogText): number {
  return 100 + (text.text?.length ?? 0) + (text.type === 'line' ? (text.base64?.length ?? 0) : 0); // the object around it
}

/** A JSON line for what it is, then one for each text. */
function toContent({ texts, ...what }: KeptLog): string {
  return [what, ...texts].map((line) => `${JSON.stringify(line)}\n`).join('');
}

function fromContent(content: string | undefined): KeptLog | undefined {
  if (content === undefined) {
    return undefined;
  }
  const [what, ...texts] = content.trimEnd().split('\n');
  return { ...(JSON.parse(what ?? '{}') as Omit<KeptLog, 'texts'>), texts: texts.map((line) => JSON.parse(line) as LogText) };
}
