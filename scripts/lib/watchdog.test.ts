import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { runWatchdog } from './watchdog.ts';

const SPINS = "process.on('SIGTERM', () => {}); for (;;);";

test('runWatchdog() kills a child that spins and heeds no SIGTERM', { skip: process.platform !== 'linux', timeout: 20_000 }, async () => {
  const child = spawn(process.execPath, ['-e', SPINS], { stdio: 'ignore' });
  const stop = new AbortController();
  const killed: (readonly string[])[] = [];
  const watching = runWatchdog({ limitMs: () => 100, clock: systemClock, onKill: (command) => killed.push(command) }, stop.signal);
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  stop.abort();
  await watching;
  assert.equal(signal, 'SIGKILL');
  assert.equal(killed[0]?.at(-1), SPINS);
});
