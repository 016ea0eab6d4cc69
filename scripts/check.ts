/** npm run check: the gate while working. One line a step, and the output of those that fail. */
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { listenForInterrupt } from './lib/interrupt.ts';
import { run } from './lib/run.ts';

const ROOT = path.join(import.meta.dirname, '..');
const BIN = path.join(ROOT, 'node_modules/.bin');
const STEP_TIMEOUT_MS = 10 * 60_000;

interface CheckStep {
  readonly name: string;
  /** what mends it, told when it fails */
  readonly hint: string;
  readonly command: readonly [string, ...string[]];
}

const script = (...words: string[]): readonly [string, ...string[]] => [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  ...words,
];

const STEPS: readonly CheckStep[] = [
  { name: 'format', hint: 'npm run format', command: [path.join(BIN, 'oxfmt'), '--check'] },
  { name: 'lint', hint: 'npm run lint -- --fix mends some', command: [path.join(BIN, 'oxlint'), '--type-aware'] },
  { name: 'types', hint: 'npm run types', command: [path.join(BIN, 'tsc')] },
  { name: 'dead code', hint: 'remove it, or name its use in knip.json', command: [path.join(BIN, 'knip')] },
  { name: 'generated files', hint: 'npm run generate', command: script('scripts/generate.ts', '--check') },
  { name: 'unit tests', hint: 'npm run test:unit', command: script('scripts/test.ts', 'unit') },
];

/** @returns the number of steps that failed */
async function main(signal: AbortSignal): Promise<number> {
  let failed = 0;
  for (const step of STEPS) {
    const startedMs = systemClock.monotonicMs();
    const [program, ...args] = step.command;
    const { code, stdout, stderr } = await run(program, args, { cwd: ROOT, timeoutMs: STEP_TIMEOUT_MS, signal });
    signal.throwIfAborted();
    const seconds = ((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1);
    process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${step.name.padEnd(16)} ${seconds.padStart(6)} s\n`);
    if (code !== 0) {
      failed += 1;
      process.stdout.write(`${`${stdout}${stderr}`.trimEnd()}\n     to mend it: ${step.hint}\n`);
    }
  }
  return failed;
}

const interrupt = listenForInterrupt(() => process.exit(130));
try {
  const failed = await main(interrupt.signal);
  process.stdout.write(failed === 0 ? 'All checks passed\n' : `${failed} of ${STEPS.length} checks failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  if (!interrupt.signal.aborted) {
    throw error;
  }
  process.exitCode = interrupt.exitCode();
}
