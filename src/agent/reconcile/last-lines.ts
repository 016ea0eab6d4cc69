/** The last that a container wrote, for whoever reads why it failed. */
import { hasEngineReason } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';

const LINES = 20;
const MAX_LINE = 200; // characters; some write whole documents into a line
const MAX_FRAMES = 1000; // of 20 lines there are few, of one endless line many

/** @returns lines of text alone, oldest first; none where the container is gone or keeps no log */
export async function readLastLines(engine: Engine, containerId: string, signal: AbortSignal): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const frames of await engine.containerLogs(containerId, { tail: LINES }, signal)) {
      chunks.push(...frames.map(({ bytes }) => bytes));
      if (chunks.length >= MAX_FRAMES) {
        break;
      }
    }
  } catch (error) {
    if (!hasEngineReason(error, 'NotFound', 'EngineFault', 'Invalid', 'Conflict')) {
      throw error;
    }
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .map((line) => line.replaceAll(/(?!\t)\p{Cc}/gu, '').trimEnd())
    .filter((line) => line !== '')
    .slice(-LINES)
    .map((line) => (line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line));
}
