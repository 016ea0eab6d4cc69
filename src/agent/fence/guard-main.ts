/**
 * The fence guard's program: `node guard-main.ts DATA_DIR`. Started by guard-process.ts; one at a time for each data folder.
 *
 * Owns     the lock that says it is there.
 */
import { writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { readBootClock } from '../../base/boot-clock.ts';
import { systemClock } from '../../base/clock.ts';
import { systemDisk } from '../../base/disk.ts';
import { createLogger } from '../../base/log.ts';
import { acquirePidLock, findPidLockHolder } from '../../base/pid-lock.ts';
import { createDockerEngine } from '../docker/docker-client.ts';
import type { Engine } from '../docker/engine.ts';
import { killProcesses } from './container-processes.ts';
import { readFenceFile } from './fence-file.ts';
import { runFenceGuard } from './guard.ts';
import { AGENT_LOCK, FENCE_FILE, GUARD_LOCK } from './guard-process.ts';

const [, , dataDir = ''] = process.argv;
const lock = acquirePidLock(join(dataDir, GUARD_LOCK));
if ('release' in lock) {
  protectFromOom();
  flushCompileCache(); // as base/program.ts does
  const log = createLogger('fence-guard', { level: 'info', format: 'json' });
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => ended.abort());
  }
  const engines = new Map<string, Engine>();
  const openEngine = (host: string): Engine => {
    const engine = engines.get(host) ?? createDockerEngine({ host, clock: systemClock });
    engines.set(host, engine);
    return engine;
  };
  const options = {
    read: () => readFenceFile(systemDisk, join(dataDir, FENCE_FILE)),
    openEngine,
    killProcesses,
    isAgentAlive: () => findPidLockHolder(join(dataDir, AGENT_LOCK)) !== undefined,
    bootClock: readBootClock(),
    clock: systemClock,
    log,
  };
  try {
    await runFenceGuard(options, ended.signal);
  } finally {
    lock.release();
  }
  process.exit(0); // idle connections to the engine need not be waited for
}

/** Without root it stays as likely a victim as any. */
function protectFromOom(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '-999');
  } catch {
    // not allowed, or no Linux
  }
}
