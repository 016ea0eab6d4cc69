/**
 * The machine's clock since it was booted, for promises that must hold while a process is suspended, or not there.
 *
 * Apart from clock.ts, whose monotonic time stands still while the machine sleeps: `performance.now()` is CLOCK_MONOTONIC, and so are
 * all timers, so that who waits for a boot time must look at this clock often.
 * Source   proc_uptime(5): /proc/uptime counts time spent in suspend (CLOCK_BOOTTIME); libuv's uv_uptime reads it.
 */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

export interface BootClock {
  /** Milliseconds since boot, to the hundredth of a second; goes on in suspend, never backwards, the same for all processes of a boot. */
  bootMs(): number;
  /** Names this boot of the machine; undefined: it cannot be told from another. */
  readonly bootId: string | undefined;
}

export function readBootClock(): BootClock {
  return { bootMs: () => uptime() * 1000, bootId: readBootId() };
}

function readBootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() || undefined;
  } catch {
    return undefined; // no Linux
  }
}
