/** A child on our terminal, in our process group: Ctrl-C reaches it too. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { systemClock } from '../../src/base/clock.ts';
import { withSystemPath } from './run.ts';

const STOP_LIMIT_MS = 15_000;

/**
 * Runs a command with our own input and output until it ends. When `signal` aborts it gets SIGTERM, and SIGKILL 15 s later.
 * @returns its exit code, 128 + n for a signal
 * @throws {Error} when it cannot be started
 */
export async function runAttached(
  [program = '', ...args]: readonly string[],
  { signal, cwd, env }: { readonly signal: AbortSignal; readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<number> {
  const child = spawn(program, args, { cwd, env: withSystemPath(env), stdio: 'inherit' });
  const ended = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', reject);
  child.on('exit', (code, byWhat) => resolve(code ?? 128 + (byWhat === null ? 0 : (constants.signals[byWhat] ?? 0))));
  const stop = (): void => {
    child.kill('SIGTERM');
    systemClock.sleep(STOP_LIMIT_MS, ended.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined, // it ended before
    );
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', stop);
    ended.abort();
  }
}
