/** Put before a server's own program (--import): on SIGUSR2 collects all garbage and writes down what memory is left, to FLEET_PROBE. */
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Memory {
  /** bytes */
  readonly heapUsed: number;
  readonly external: number;
}

/** The first finds out which pages hold little, and only the next moves that together and gives pages back. */
const ROUNDS = 3;

const { FLEET_PROBE: file = '' } = process.env;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options: object) => void;
process.on('SIGUSR2', () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(`${file}.new`, JSON.stringify({ heapUsed, external } satisfies Memory));
  renameSync(`${file}.new`, file);
});
