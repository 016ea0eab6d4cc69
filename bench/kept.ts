/**
 * What a benchmark has started, so that nothing of it stays behind when it is broken off: at the first Ctrl-C or SIGTERM all of it is ended,
 * the newest first, and then the process.
 */
import { listenForInterrupt, type Interrupt } from '../scripts/lib/interrupt.ts';

const undos: (() => unknown)[] = [];
let interrupt: Interrupt | undefined;

/** Has `undo` done should the benchmark be broken off; it may have been done by then. */
export function undoWhenBrokenOff(undo: () => unknown): void {
  interrupt ??= listen();
  undos.unshift(undo);
}

/** What is being started, to be ended should the benchmark be broken off; `await using` it. */
export async function kept<Thing extends AsyncDisposable>(starting: Promise<Thing>): Promise<Thing> {
  undoWhenBrokenOff(async () => {
    const thing = await starting;
    await thing[Symbol.asyncDispose]();
  });
  return await starting;
}

function listen(): Interrupt {
  const listening = listenForInterrupt(() => process.exit(1));
  listening.signal.addEventListener('abort', () => void undoAll().then(() => process.exit(listening.exitCode())));
  return listening;
}

async function undoAll(): Promise<void> {
  for (const undo of undos) {
    try {
      await undo();
    } catch (error) {
      process.stderr.write(`error: left behind: ${String(error)}\n`); // the rest is ended all the same
    }
  }
}
