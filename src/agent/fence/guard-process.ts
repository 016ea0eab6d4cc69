/**
 * Guard process: the fence guard as a process of its own, which outlives the agent's.
 *
 * Owns     nothing that lasts: which process is the guard stands in its lock, so that the next agent finds it.
 * Callers  session/self-fence.ts asks for it before anything fenced is started, and every second after.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { findPidLockHolder } from '../../base/pid-lock.ts';

export interface FenceGuard {
  /** Resolves when the guard runs; starts it where it does not. @throws when it does not come up */
  ensure(signal: AbortSignal): Promise<void>;
}

/** Names in the data folder. */
export const FENCE_FILE = 'fence.json';
export const GUARD_LOCK = 'fence-guard.lock';
/** The agent's own; see main.ts. */
export const AGENT_LOCK = 'agent.lock';
const GUARD_LOG = 'fence-guard.log';

const START_MS = 10_000; // a Raspberry Pi under load
const POLL_MS = 20;

// Measured: 15 MB of its own; the rest of its 60 MB resident is the binary, which it shares with the agent. Smaller heaps change nothing.
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];

export function createGuardProcess({ dataDir, clock }: { readonly dataDir: string; readonly clock: Clock }): FenceGuard {
  const lock = join(dataDir, GUARD_LOCK);
  let starting: Promise<void> | undefined;

  async function start(signal: AbortSignal): Promise<void> {
    const stopped = findPidLockHolder(lock);
    if (stopped !== undefined) {
      process.kill(stopped, 'SIGKILL'); // somebody stopped it: it would neither guard nor let go of the lock
    }
    spawnGuard(dataDir);
    const deadlineMs = clock.monotonicMs() + START_MS;
    while (!isUp(lock)) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new Error(`Cannot start the fence guard: see ${join(dataDir, GUARD_LOG)}`);
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  return {
    ensure: async (signal) => {
      if (!isUp(lock)) {
        starting ??= start(signal).finally(() => (starting = undefined));
        await starting;
      }
    },
  };
}

/** Tells whether the holder of the lock is at work: not a stopped process, nor one that has ended and nobody has waited for. */
function isUp(lock: string): boolean {
  const pid = findPidLockHolder(lock);
  if (pid === undefined) {
    return false;
  }
  try {
    const [state = ''] = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1) ?? '').trim().split(' ');
    return !'TtZX'.includes(state);
  } catch {
    return true; // no /proc: the lock must do
  }
}

/** In a session of its own, so that no signal of a terminal or to the agent's group reaches it. */
function spawnGuard(dataDir: string): void {
  const log = openSync(join(dataDir, GUARD_LOG), 'a', 0o600);
  try {
    const program = join(import.meta.dirname, `guard-main${extname(import.meta.filename)}`);
    const child = spawn(process.execPath, [...NODE_FLAGS, program, dataDir], { cwd: '/', detached: true, stdio: ['ignore', log, log] });
    child.on('error', () => undefined); // that it does not come up is told by whoever waits for it
    child.unref();
  } finally {
    closeSync(log);
  }
}
