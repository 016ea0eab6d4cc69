/**
 * Dropped Projects: what a list says is no longer this node's, though nobody said why: the change was missed. An old copy of what runs
 * on another node now must go at once; what the server does not know at all waits as an orphan, as the server may have been restored.
 *
 * Owns     which are still to be asked about, in memory: after a restart orphans go by time alone.
 * Never    takes a list's silence for an answer.
 * Callers  compose/assignments.ts asks after each list; compose/supervise.ts makes it.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';

const BACKOFF = { baseMs: 500, capMs: 10_000 };

export interface DroppedProjectsOptions {
  readonly nodeName: string;
  /** reads a Project from the server; undefined: there is none */
  readonly find: (project: string, signal: AbortSignal) => Promise<ProjectObject | undefined>;
  /** the server says that it is elsewhere, or nowhere, now */
  readonly onStale: (project: string, uid: string) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface DroppedProjects {
  /** Asks about these. */
  ask(projects: readonly ProjectObject[]): void;
  run(signal: AbortSignal): Promise<void>;
}

export function createDroppedProjects(options: DroppedProjectsOptions): DroppedProjects {
  const { nodeName, find, onStale, clock, random, log } = options;
  const open = new Map<string, ProjectObject>(); // uid -> as it was assigned here
  const wakeup = new Wakeup();
  const backoff = new Backoff(BACKOFF, random);

  async function askOne(uid: string, { metadata: { name } }: ProjectObject, signal: AbortSignal): Promise<void> {
    const found = await find(name, signal).catch(whenNotAssigned);
    open.delete(uid);
    if (found === 'elsewhere') {
      log.info({ project: name }, 'project is no longer on this node');
      onStale(name, uid);
    } else if (found?.metadata.uid === uid && found.status.nodeRef !== nodeName) {
      log.info({ project: name, node: found.status.nodeRef }, 'project is no longer on this node');
      onStale(name, uid);
    }
  }

  return {
    ask: (projects) => {
      for (const project of projects) {
        open.set(project.metadata.uid, project);
      }
      wakeup.notify();
    },
    run: async (signal) => {
      for (;;) {
        let waitMs = Infinity;
        try {
          for (const [uid, project] of open) {
            await askOne(uid, project, signal);
          }
          backoff.reset();
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof ApiError)) {
            throw error;
          }
          waitMs = backoff.nextMs();
        }
        await wakeup.wait(clock, waitMs, signal);
      }
    },
  };
}

/** A server with credentials shows a node its own Projects alone, and says so of the others. */
function whenNotAssigned(error: unknown): 'elsewhere' {
  if (hasReason(error, 'NotAssigned')) {
    return 'elsewhere';
  }
  throw error;
}
