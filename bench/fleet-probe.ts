/** Put before a server's own program (--import): on SIGUSR2 collects all garbage and writes down what memory is left, to FLEET_PROBE. */
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Memory {
  /** bytes */
  readonly heapUsed: number;
  readonly external: number;
}

const { FLEET_PROBE: file = '' } = process.env;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options: object) => void;
process.on('SIGUSR2', () => {
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' }); // gives free pages back too, as V8 does of itself when idle
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(`${file}.new`, JSON.stringify({ heapUsed, external } satisfies Memory));
  renameSync(`${file}.new`, file);
});
