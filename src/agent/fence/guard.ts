/**
 * Fence guard: kills what is fenced at its time, whatever became of the agent: it was killed, hangs, or cannot stop a container.
 *
 * It asks nobody and is asked by nobody: it reads the fence file, looks at the boot clock four times a second, and at a Project's time
 * kills its containers through the engine and, where that does not do, their processes. It goes on looking for as long as the file
 * says so: an engine may carry out late what it was asked to start before.
 *
 * Owns     the last good content of the file: one that is damaged, or gone, gives no more time, and takes none away.
 * Never    stops anything in an orderly way: for that there was time before.
 * Callers  guard-main.ts
 */
import type { BootClock } from '../../base/boot-clock.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { deriveFenceTimes } from '../../api/project/fence.ts';
import type { Engine } from '../docker/engine.ts';
import { LABEL } from '../docker/names.ts';
import type { FenceEntry, FenceRecord } from './fence-file.ts';

const LOOK_MS = 250; // part of the time for the kill in api/project/fence.ts, as is what follows
const ENGINE_MS = 1000; // for the engine to kill; then the processes are
const QUIET_LOOK_MS = 500; // while there is nothing left to kill
const QUIET_END_MS = 60_000; // after it there is nothing that might still come, unless an agent is there

export interface FenceGuardOptions {
  readonly read: () => FenceRecord | undefined;
  readonly openEngine: (host: string) => Pick<Engine, 'listContainers' | 'killContainer'>;
  /** kills the processes of containers without the engine. @returns how many there were */
  readonly killProcesses: (containerIds: ReadonlySet<string>) => number;
  readonly isAgentAlive: () => boolean;
  readonly bootClock: BootClock;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Runs until nothing is fenced any more. When `signal` aborts it is told to end: then it kills at once, as nobody would later. */
export async function runFenceGuard(options: FenceGuardOptions, signal: AbortSignal): Promise<void> {
  const { read, bootClock, clock, log, isAgentAlive } = options;
  let record: FenceRecord | undefined;
  let quietSinceMs: number | undefined;
  for (;;) {
    record = read() ?? record;
    if (record === undefined || record.entries.length === 0) {
      return;
    }
    const nowMs = bootClock.bootMs();
    const isOfThisBoot = record.bootId === bootClock.bootId;
    const due = record.entries.filter((entry) => signal.aborted || !isOfThisBoot || nowMs >= killAtMs(entry));
    const killed = due.length === 0 ? 0 : await enforce(options, record.engineHost, due);
    if (killed > 0) {
      log.warn({ projects: due.map(({ project }) => project), processes: killed }, 'fenced projects killed');
    }
    if (signal.aborted) {
      return;
    }
    const isQuiet = killed === 0 && due.length === record.entries.length;
    quietSinceMs = isQuiet ? (quietSinceMs ?? nowMs) : undefined;
    if (quietSinceMs !== undefined && nowMs - quietSinceMs >= QUIET_END_MS && !isAgentAlive()) {
      return;
    }
    await clock.sleep(isQuiet ? QUIET_LOOK_MS : LOOK_MS, signal).catch(() => undefined); // told to end: one more turn
  }
}

function killAtMs({ grant, ...terms }: FenceEntry): number {
  return grant === null ? -Infinity : deriveFenceTimes(grant, terms).killAtMs;
}

/** @returns how many containers and processes there were to kill */
async function enforce(options: FenceGuardOptions, engineHost: string, due: readonly FenceEntry[]): Promise<number> {
  const known = new Set(due.flatMap(({ containers }) => containers));
  const killed = await killByEngine(options, engineHost, due);
  return killed + options.killProcesses(known);
}

/** Kills what the engine says runs of these Projects, by label: also what the file does not know. Does not throw: the processes are next. */
async function killByEngine({ openEngine, clock, log }: FenceGuardOptions, host: string, due: readonly FenceEntry[]): Promise<number> {
  using deadline = withDeadline(clock, ENGINE_MS, new AbortController().signal);
  try {
    const engine = openEngine(host);
    const found = await Promise.all(
      due.map(async ({ cluster, uid }) => {
        const labels = { [LABEL.cluster]: cluster, [LABEL.projectUid]: uid };
        return await engine.listContainers({ labels, all: false }, deadline.signal);
      }),
    );
    const ids = found.flat().map(({ id }) => id);
    await Promise.all(ids.map(async (id) => await engine.killContainer(id, deadline.signal)));
    return ids.length;
  } catch (error) {
    log.debug({ err: error }, 'engine did not kill');
    return 0;
  }
}
