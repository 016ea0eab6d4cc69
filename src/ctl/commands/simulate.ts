/** caractrl simulate: runs the programs in a world that breaks everything; see docs/simulation.md. The simulator is a program of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineCommand, flag, text } from '../command.ts';
import { CtlError } from '../ctl-error.ts';

const PROGRAM = join(import.meta.dirname, '../../../test/sim/main.ts');

export const simulateCommand = defineCommand({
  name: 'simulate',
  summary: 'Simulate fleets on which everything breaks, and check that each promise is kept',
  args: '',
  options: {
    seeds: text('number', 'how many fleets, each drawn from a seed [20]'),
    firstSeed: text('number', 'the first seed; the same seed is the same run on every machine [1]'),
    jobs: text('number', 'how many at a time; default: as many as this machine has cores'),
    trace: flag('print what happened in each, one after another'),
  },
  examples: [
    { command: 'caractrl simulate', does: 'twenty fleets, some minutes of virtual time each' },
    { command: 'caractrl simulate --seeds 1 --first-seed 42 --trace', does: 'one of them, line by line' },
  ],
  run: async ({ io, signal }, _, { seeds, firstSeed, jobs, trace }) => {
    if (!existsSync(PROGRAM)) {
      throw new CtlError('Cannot simulate as the simulator is not part of this installation: run it in a checkout of the repository');
    }
    io.stderr.write('Simulating on virtual time; no server and no machine is touched\n');
    const args = [
      '--seeds',
      seeds ?? '20',
      '--first-seed',
      firstSeed ?? '1',
      ...(jobs === undefined ? [] : ['--jobs', jobs]),
      ...(trace ? ['--trace'] : []),
    ];
    const simulator = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, ...args], { stdio: 'inherit', signal });
    simulator.on('error', () => undefined); // interrupted
    const [code] = (await once(simulator, 'exit')) as [number | null];
    return code ?? 1;
  },
});
