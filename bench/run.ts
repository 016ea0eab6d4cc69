/**
 * Runs the benchmarks, each in a process of its own: `npm run bench` for all, with one table of every figure in the end, or
 * `npm run bench -- session fleet` for some. With --write the figures go into the table of docs/benchmarks.md, in place of those of the
 * same names. A benchmark is a file here that exports `run`; one alone (`node bench/run.ts fleet`) runs in this process, unless it has
 * parts of the server in its own process: then it gets one with the server's flags, or this one, if it has them.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { listenForInterrupt } from '../scripts/lib/interrupt.ts';
import { printTable, type Figure } from './figures.ts';
import { replaceFigures, type DatedFigure } from './figures-page.ts';

const BENCHMARKS = ['session', 'detection', 'store', 'fleet', 'placement', 'tunnels', 'port-forward', 'logs', 'storms'] as const;
const PAGE = path.join(import.meta.dirname, '../docs/benchmarks.md');
const WRITE = '--write';

/** Those that have parts of the server in their own process, and the flags with which bin/lib/launch.sh starts it. */
const WITH_SERVER: readonly string[] = ['detection', 'store', 'placement'];
const SERVER_FLAGS = ['--max-semi-space-size=8', '--heap-growing-percent=50'];

function flagsOf(name: string): readonly string[] {
  return WITH_SERVER.includes(name) ? SERVER_FLAGS : [];
}

/** @returns its figures, also those that came before it failed */
async function runAlone(
  name: string,
  signal: AbortSignal,
): Promise<{ readonly figures: readonly DatedFigure[]; readonly isWhole: boolean }> {
  const on = `${new Date().toISOString().slice(0, 10)}, load ${loadavg()[0]?.toFixed(1)}`;
  const child = spawn(process.execPath, [...flagsOf(name), import.meta.filename, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = Promise.withResolvers<boolean>();
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true }); // it cleans up
  child.on('close', (code) => ended.resolve(code === 0));
  const figures: DatedFigure[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${line}\n`);
    if (line.startsWith('{')) {
      figures.push({ ...(JSON.parse(line) as Figure), on });
    }
  }
  return { figures, isWhole: await ended.promise };
}

async function runMany(names: readonly string[], writes: boolean): Promise<void> {
  const interrupt = listenForInterrupt(() => process.exit(1));
  const figures: DatedFigure[] = [];
  for (const name of names) {
    const result = await runAlone(name, interrupt.signal);
    figures.push(...result.figures);
    if (writes) {
      writeFileSync(PAGE, replaceFigures(readFileSync(PAGE, 'utf8'), result.figures)); // one by one: a later one may be broken off
    }
    if (interrupt.signal.aborted) {
      process.exitCode = interrupt.exitCode();
      return;
    }
    if (!result.isWhole) {
      process.stderr.write(`error: ${name} failed\n`);
      process.exitCode = 1;
    }
  }
  if (names.length > 1) {
    printTable(figures); // one has printed its own
  }
}

const words = process.argv.slice(2);
const asked = words.filter((word) => word !== WRITE);
const unknown = asked.filter((name) => !BENCHMARKS.some((known) => known === name));
const [only, ...more] = asked;
if (unknown.length > 0) {
  process.stderr.write(`error: Cannot run ${unknown.join(', ')} as there is no such benchmark: known are ${BENCHMARKS.join(', ')}\n`);
  process.exitCode = 2;
} else if (
  only !== undefined &&
  more.length === 0 &&
  !words.includes(WRITE) &&
  flagsOf(only).every((flag) => process.execArgv.includes(flag))
) {
  const benchmark = (await import(`./${only}.ts`)) as { readonly run: () => Promise<void> };
  await benchmark.run();
} else {
  const names = BENCHMARKS.filter((known) => asked.length === 0 || asked.includes(known));
  await runMany(names, words.includes(WRITE));
}
