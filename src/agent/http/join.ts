/** Joins two streams: what comes from one goes to the other, each direction with its own end. */
import type { Duplex } from 'node:stream';
import { addAbortSignal } from 'node:stream';

/** Resolves when both directions have ended. Where one side is cut, or the signal aborts, the other is cut too. */
export async function join(left: Duplex, right: Duplex, signal: AbortSignal): Promise<void> {
  addAbortSignal(signal, right);
  const { pipeline } = process.getBuiltinModule('node:stream/promises');
  try {
    await Promise.all([pipeline(left, right, { end: true }), pipeline(right, left, { end: true })]);
  } finally {
    left.destroy();
    right.destroy();
  }
}
