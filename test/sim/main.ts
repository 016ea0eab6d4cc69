/**
 * The simulator as a program: npm run test:sim -- --seeds N [--first-seed N] [--jobs N] [--trace] [--log]
 *
 * Runs seeds, one after another in each of as many processes as there are cores, and prints what came of them; a failing one is shrunk and printed with the command that runs it again. The
 * last line says seeds, virtual hours and failures. Exit code: 0 none failed, 1 some did, 2 wrong usage.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { drawPlan, type Plan } from './plan.ts';
import { runPlan } from './run-plan.ts';
import { type Order, type Result, WORKER_FLAGS } from './worker.ts';

const PROGRESS_MS = 1000;
const LOG_PROGRESS_MS = 60_000; // where it is not shown on a terminal
const HOUR_MS = 3_600_000;

interface Regression {
  /** what it found, and what mended it */
  readonly found: string;
  readonly plan: Plan;
}

export function readRegressions(): readonly Regression[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'regressions.json'), 'utf8')) as readonly Regression[];
}

const OPTIONS = {
  seeds: { type: 'string', default: '200' },
  'first-seed': { type: 'string', default: '1' },
  'no-shrink': { type: 'boolean', default: false },
  'stop-at-first': { type: 'boolean', default: false },
  trace: { type: 'boolean', default: false },
  log: { type: 'boolean', default: false },
  kept: { type: 'boolean', default: false },
  jobs: { type: 'string', default: String(availableParallelism()) },
} as const;

interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly isShrinking: boolean;
  readonly isTracing: boolean;
  readonly isLogging: boolean;
  readonly isStopping: boolean;
  /** the plans of regressions.json first */
  readonly isKept: boolean;
  /** processes side by side */
  readonly jobs: number;
}

/** @returns undefined for what cannot be understood, which has been said */
function readWanted(argv: readonly string[]): Wanted | undefined {
  try {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS });
    const [count, first, jobs] = [Number(values.seeds), Number(values['first-seed']), Number(values.jobs)];
    for (const [name, value] of Object.entries({ '--seeds': count, '--first-seed': first, '--jobs': jobs })) {
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new RangeError(`${name} takes a whole number from 1 on`);
      }
    }
    return {
      first,
      count,
      isShrinking: !values['no-shrink'],
      isTracing: values.trace,
      isLogging: values.log,
      isStopping: values['stop-at-first'],
      isKept: values.kept,
      jobs,
    };
  } catch (error) {
    process.stderr.write(`Cannot simulate: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

async function main(wanted: Wanted): Promise<number> {
  const broken = wanted.isKept ? await runKept() : 0;
  if (broken > 0 && wanted.isStopping) {
    return 1;
  }
  const tally = new Tally(wanted);
  if (wanted.isTracing || wanted.isLogging) {
    await runHere(wanted, tally);
  } else {
    await runInWorkers(wanted, tally);
  }
  tally.tellEnd();
  return tally.failed.length + broken === 0 ? 0 : 1;
}

/** @returns how many failed */
async function runKept(): Promise<number> {
  let broken = 0;
  for (const { plan } of readRegressions()) {
    const { violation } = await runPlan(plan);
    if (violation !== undefined) {
      broken += 1;
      process.stdout.write(`kept plan ${plan.seed} failed: ${violation}\n`);
    }
  }
  return broken;
}

/** What has come of the seeds so far. */
class Tally {
  readonly #wanted: Wanted;
  readonly #startedMs = systemClock.monotonicMs();
  #toldMs = this.#startedMs;
  #virtualMs = 0;
  #done = 0;
  readonly failed: number[] = [];

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  get isOver(): boolean {
    return this.#wanted.isStopping && this.failed.length > 0;
  }

  add({ seed, virtualMs, violation, shrunk }: Result): void {
    this.#virtualMs += virtualMs;
    this.#done += 1;
    if (violation !== undefined) {
      this.failed.push(seed);
      process.stdout.write(`${this.#clearLine}seed ${seed} failed: ${violation}\n`);
      process.stdout.write(`  again: npm run test:sim -- --seeds 1 --first-seed ${seed} --no-shrink --trace\n`);
    }
    if (shrunk !== undefined) {
      const { plan } = shrunk;
      process.stdout.write(
        `  shrunk to ${plan.steps.length} steps on ${plan.machines.length} machines; for regressions.json:\n` +
          `  ${JSON.stringify({ found: shrunk.violation, plan })}\n`,
      );
    }
    const nowMs = systemClock.monotonicMs();
    if (nowMs - this.#toldMs > (process.stderr.isTTY ? PROGRESS_MS : LOG_PROGRESS_MS)) {
      this.#toldMs = nowMs;
      process.stderr.write(process.stderr.isTTY ? `${this.#clearLine}${this.#describe()}` : `${this.#describe()}\n`);
    }
  }

  tellEnd(): void {
    process.stderr.write(this.#clearLine);
    process.stdout.write(`${this.#describe()}${this.failed.length > 0 ? `: ${this.failed.join(', ')}` : ''}\n`);
  }

  get #clearLine(): string {
    return process.stderr.isTTY ? '\r\x1b[K' : '';
  }

  #describe(): string {
    const minutes = (systemClock.monotonicMs() - this.#startedMs) / 60_000;
    const of = this.#done === this.#wanted.count ? '' : ` of ${this.#wanted.count}`;
    const speed = `${hours(this.#virtualMs)} virtual hours in ${minutes.toFixed(1)} min (${(this.#virtualMs / HOUR_MS / minutes).toFixed(1)} h a minute)`;
    return `${this.#done}${of} seeds, ${speed}, ${this.failed.length} failed`;
  }
}

/** In this process, for whoever wants to see each line. */
async function runHere({ first, count, isTracing, isLogging }: Wanted, tally: Tally): Promise<void> {
  for (let seed = first; seed < first + count && !tally.isOver; seed += 1) {
    const { violation, virtualMs, traceTail } = await runPlan(
      drawPlan(String(seed)),
      isLogging ? { onLog: (line) => process.stdout.write(line) } : {},
    );
    if (isTracing) {
      process.stdout.write(`${traceTail.join('\n')}\n`);
    }
    tally.add({ seed, virtualMs, violation, shrunk: undefined });
  }
}

/** Each takes the next seed when it is through with one. */
async function runInWorkers({ first, count, jobs, isShrinking }: Wanted, tally: Tally): Promise<void> {
  let next = first;
  const runOne = async (): Promise<void> => {
    const worker = fork(join(import.meta.dirname, 'worker.ts'), { execArgv: [...process.execArgv, ...WORKER_FLAGS] });
    const gone = once(worker, 'exit').then(([code, signal]: unknown[]) => {
      throw new Error(`a process that runs seeds ended by itself: ${String(signal ?? code)}`);
    });
    gone.catch(() => undefined);
    try {
      while (next < first + count && !tally.isOver) {
        const order: Order = { seed: next, isShrinking };
        next += 1;
        worker.send(order);
        const [result] = (await Promise.race([once(worker, 'message'), gone])) as [Result];
        tally.add(result);
      }
    } finally {
      worker.kill();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, count) }, runOne));
}

function hours(ms: number): string {
  return (ms / HOUR_MS).toFixed(1);
}

if (import.meta.main) {
  const wanted = readWanted(process.argv.slice(2));
  process.exitCode = wanted === undefined ? 2 : await main(wanted);
}
