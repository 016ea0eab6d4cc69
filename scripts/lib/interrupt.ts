/**
 * Ctrl-C and its relatives, for scripts that have something to clean up.
 *
 * Source   A signal may come twice: from the terminal to the whole process group, and again from npm or bootstrap.mjs, which pass it
 *          on. What comes within a second of the first is the same one.
 */
import { constants } from 'node:os';
import { type Clock, systemClock } from '../../src/base/clock.ts';

export interface Interrupt {
  /** aborts at the first SIGINT, SIGTERM or SIGHUP, or when bootstrap.mjs was killed */
  readonly signal: AbortSignal;
  /** what a shell expects of a process that ended by that signal; 0 before any */
  exitCode(): number;
}

const SAME_SIGNAL_MS = 1000;

/**
 * Listens until the process ends.
 * @param onAgain called when the user insists (a second Ctrl-C)
 */
export function listenForInterrupt(onAgain: () => void, clock: Clock = systemClock): Interrupt {
  const controller = new AbortController();
  let code = 0;
  let firstMs = 0;
  const interrupt = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      code = 128 + (constants.signals[name] ?? 0);
      firstMs = clock.monotonicMs();
      controller.abort(new DOMException(`Interrupted by ${name}`, 'AbortError'));
    } else if (clock.monotonicMs() - firstMs > SAME_SIGNAL_MS) {
      onAgain();
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupt(name));
  }
  process.on('disconnect', () => interrupt('SIGHUP')); // the channel to bootstrap.mjs: it is gone without a word
  process.channel?.unref(); // and does not keep this process alive
  return { signal: controller.signal, exitCode: () => code };
}
