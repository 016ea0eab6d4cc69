/**
 * Waits for Projects to get somewhere: keeps the latest of each and asks a judge at every change and every second.
 *
 * Owns     the followers of one wait; they end with it.
 * Callers  wait-running.ts, wait-gone.ts, wait-moved.ts.
 */
import type { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { Stopper } from '../../base/stopper.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { follow } from './follow.ts';

const TICK_MS = 1000;

export interface TrackDependencies {
  readonly client: CaraClient;
  readonly clock: Clock;
  readonly random: Random;
}

/** What is known now. */
export interface View {
  /** name -> latest; undefined: gone. Names not read yet are absent. */
  readonly projects: ReadonlyMap<string, ProjectObject | undefined>;
  /** why the server cannot be reached now */
  readonly away: ApiError | undefined;
  readonly elapsedMs: number;
}

/**
 * Follows `names` until `judge` gives something.
 * @param options.timeoutMs how long at most; Infinity for no limit
 * @returns what the judge gave; undefined when time ran out
 */
export async function trackProjects<Verdict>(
  { client, clock, random }: TrackDependencies,
  options: { readonly names: readonly string[]; readonly timeoutMs: number },
  judge: (view: View) => Verdict | undefined | Promise<Verdict | undefined>,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  const { names, timeoutMs } = options;
  const [only] = names;
  const projects = new Map<string, ProjectObject | undefined>();
  const startMs = clock.monotonicMs();
  const changed = new Wakeup();
  let away: ApiError | undefined;
  let crash: { readonly error: unknown } | undefined;
  const stopper = new Stopper((_, error) => {
    crash = { error };
    changed.notify();
  });
  stopper.spawn('project-follower', async (loopSignal) => {
    const query = { resource: client.projects, query: {}, clock, random, ...(names.length === 1 && only !== undefined && { name: only }) };
    for await (const event of follow(query, loopSignal)) {
      away = event.kind === 'away' ? event.error : undefined;
      switch (event.kind) {
        case 'listed':
          for (const name of names) {
            projects.set(
              name,
              event.items.find(({ metadata }) => metadata.name === name),
            );
          }
          break;
        case 'changed':
          projects.set(event.object.metadata.name, event.object);
          break;
        case 'gone':
          projects.set(event.object.metadata.name, undefined);
          break;
        case 'away':
          break;
        default:
          event satisfies never;
      }
      changed.notify();
    }
  });
  try {
    for (;;) {
      const elapsedMs = clock.monotonicMs() - startMs;
      const verdict = await judge({ projects, away, elapsedMs });
      if (verdict !== undefined) {
        return verdict;
      }
      if (crash !== undefined) {
        throw crash.error;
      }
      if (elapsedMs >= timeoutMs) {
        return undefined;
      }
      await changed.wait(clock, Math.min(TICK_MS, timeoutMs - elapsedMs), signal);
    }
  } finally {
    await stopper.stop();
  }
}
