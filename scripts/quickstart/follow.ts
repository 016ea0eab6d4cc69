/** Follows a Project until it runs, telling every step. */
import type { ProjectObject } from '../../src/api/project.ts';
import { type Clock, withDeadline } from '../../src/base/clock.ts';
import type { CaraClient } from '../../src/client/cara-client.ts';
import { describeProgress, type Progress } from './progress.ts';

const PROJECT_TIMEOUT_MS = 120_000;
const FAILED_LIMIT_MS = 15_000; // the agent goes on trying after a failure; here nothing will mend it

export interface FollowOptions {
  readonly client: CaraClient;
  readonly clock: Clock;
  readonly name: string;
  readonly onUid: (uid: string) => void;
  readonly onProgress: (progress: Progress, elapsedMs: number) => void;
}

/**
 * Watches until the phase is Running. Start it before the Project is applied, so that it sees Pending too.
 * @throws {Error} with what it was last doing, when it takes too long or stays Failed
 */
export async function followUntilRunning(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { clock, name, onUid, onProgress } = options;
  let startMs: number | undefined;
  let shown = '';
  let last: Progress | undefined;
  let failedMs: number | undefined;
  using deadline = withDeadline(clock, PROJECT_TIMEOUT_MS, signal);
  const ticker = new AbortController();
  // a Project that stays Failed changes no more, so the watch alone would not notice
  const giveUp = watchFailure(() => failedMs, { clock, ticker, signal: AbortSignal.any([deadline.signal, ticker.signal]) });
  try {
    for await (const project of watchProject(options, AbortSignal.any([deadline.signal, ticker.signal]))) {
      startMs ??= clock.monotonicMs();
      onUid(project.metadata.uid);
      last = describeProgress(project);
      failedMs = last.phase === 'Failed' ? (failedMs ?? clock.monotonicMs()) : undefined;
      if (JSON.stringify(last) !== shown) {
        shown = JSON.stringify(last);
        onProgress(last, clock.monotonicMs() - startMs);
      }
      if (last.phase === 'Running') {
        return;
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if (deadline.signal.aborted || ticker.signal.aborted) {
      const cause = deadline.signal.aborted ? `not Running after ${PROJECT_TIMEOUT_MS / 1000} s` : 'Failed';
      throw new Error(`Project ${name} is ${cause}: ${last === undefined ? 'it never appeared' : `${last.phase}, ${last.detail}`}`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    ticker.abort();
    await giveUp;
  }
}

async function watchFailure(
  failedSince: () => number | undefined,
  { clock, ticker, signal }: { readonly clock: Clock; readonly ticker: AbortController; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    if (clock.monotonicMs() - (failedSince() ?? Infinity) > FAILED_LIMIT_MS) {
      ticker.abort();
    }
    await clock.sleep(500, signal).catch(() => undefined); // aborted: the loop ends
  }
}

/** Every version of one Project that the watch shows; the watch is opened anew when the server ends it. */
async function* watchProject({ client, name }: FollowOptions, signal: AbortSignal): AsyncGenerator<ProjectObject> {
  for (;;) {
    signal.throwIfAborted();
    for await (const { type, object } of client.projects.watch({}, signal)) {
      if ((type === 'ADDED' || type === 'MODIFIED') && object.metadata.name === name) {
        yield object;
      }
    }
  }
}
