/**
 * The simulator as a program: npm run test:sim -- --seeds N [--first-seed N] [--regressions] [--trace] [--log]
 *
 * Runs seeds one after another and prints what came of them; a failing one is shrunk and printed with the command that runs it again. The
 * last line says seeds, virtual hours and failures. Exit code: 0 none failed, 1 some did, 2 wrong usage.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { drawPlan, type Plan } from './plan.ts';
import { type Outcome, runPlan } from './run-plan.ts';
import { shrink } from './shrink.ts';

const PROGRESS_MS = 1000;
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
} as const;

interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly isShrinking: boolean;
  readonly isTracing: boolean;
  readonly isLogging: boolean;
  readonly isStopping: boolean;
}

/** @returns undefined for what cannot be understood, which has been said */
function readWanted(argv: readonly string[]): Wanted | undefined {
  try {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS });
    const [count, first] = [Number(values.seeds), Number(values['first-seed'])];
    for (const [name, value] of Object.entries({ '--seeds': count, '--first-seed': first })) {
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
    };
  } catch (error) {
    process.stderr.write(`Cannot simulate: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

async function main(wanted: Wanted): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  let toldMs = startedMs;
  let virtualMs = 0;
  const failed: string[] = [];
  let done = 0;
  for (let seed = wanted.first; seed < wanted.first + wanted.count; seed += 1) {
    const plan = drawPlan(String(seed));
    const outcome = await runPlan(plan, wanted.isLogging ? { onLog: (line) => process.stdout.write(line) } : {});
    virtualMs += outcome.virtualMs;
    done += 1;
    if (wanted.isTracing) {
      process.stdout.write(`${outcome.traceTail.join('\n')}\n`);
    }
    if (outcome.violation !== undefined) {
      failed.push(String(seed));
      await tellFailure(plan, outcome, wanted.isShrinking);
    }
    const nowMs = systemClock.monotonicMs();
    if (process.stderr.isTTY && nowMs - toldMs > PROGRESS_MS) {
      toldMs = nowMs;
      process.stderr.write(`\r\x1b[K${done}/${wanted.count} seeds, ${hours(virtualMs)} virtual hours, ${failed.length} failed`);
    }
    if (wanted.isStopping && failed.length > 0) {
      break;
    }
  }
  const minutes = (systemClock.monotonicMs() - startedMs) / 60_000;
  process.stderr.write(process.stderr.isTTY ? '\r\x1b[K' : '');
  process.stdout.write(
    `${done} seeds, ${hours(virtualMs)} virtual hours in ${minutes.toFixed(1)} min (${(virtualMs / HOUR_MS / minutes).toFixed(1)} h a minute), ` +
      `${failed.length} failed${failed.length > 0 ? `: ${failed.join(', ')}` : ''}\n`,
  );
  return failed.length === 0 ? 0 : 1;
}

async function tellFailure(plan: Plan, outcome: Outcome, isShrinking: boolean): Promise<void> {
  process.stdout.write(`seed ${plan.seed} failed: ${outcome.violation ?? ''}\n`);
  process.stdout.write(`  again: npm run test:sim -- --seeds 1 --first-seed ${plan.seed} --no-shrink --trace\n`);
  if (isShrinking) {
    const small = await shrink(plan, (text) => (process.stderr.isTTY ? process.stderr.write(`\r\x1b[K  ${text}`) : undefined));
    process.stdout.write(
      `\n  shrunk to ${small.plan.steps.length} steps on ${small.plan.machines.length} machines; for regressions.json:\n` +
        `  ${JSON.stringify({ found: small.outcome.violation, plan: small.plan })}\n`,
    );
  }
}

function hours(ms: number): string {
  return (ms / HOUR_MS).toFixed(1);
}

if (import.meta.main) {
  const wanted = readWanted(process.argv.slice(2));
  process.exitCode = wanted === undefined ? 2 : await main(wanted);
}
