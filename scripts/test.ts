/**
 * npm test: every kind of test in one run, on a bare machine.
 *
 *   npm test [-- [KIND…] [FILTER…] [--test-name-pattern=PATTERN]]      KIND: unit contract integration sim seed e2e
 *
 * The contract, the seed and the end-to-end tests get one private Docker engine. It and all the tests run in a network namespace of their own,
 * so that nothing on this machine is in their way, nor they in its.
 *
 * Owns     one folder /tmp/cara-test-*, which is the tests' TMPDIR too, and with it the engine, the namespace and every process that has
 *          CARA_TEST_RUN in its environment. All of it goes at the end; what a killed run has left goes at the next start.
 */
import { globSync } from 'node:fs';
import path from 'node:path';
import { findBusybox } from './lib/busybox.ts';
import { ensureDockerInstalled } from './lib/engine-install.ts';
import { type Engine, findEngine, startEngine } from './lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from './lib/hello-image.ts';
import { listenForInterrupt } from './lib/interrupt.ts';
import { inNetns } from './lib/netns.ts';
import { filterFiles, readTestArguments, TEST_KINDS, type TestArguments, type TestKind } from './lib/test-plan.ts';
import { removeStaleRuns, startTestRun, type TestRun } from './lib/test-run.ts';
import type { TestPhase, TestRunPlan } from './lib/test-runner.ts';
import { runAttached } from './lib/run-attached.ts';

const ROOT = path.join(import.meta.dirname, '..');
const CACHE = path.join(ROOT, 'node_modules/.cache/caravanserai');
const FAST_CONCURRENCY = 2; // CI has two cores; more only makes time-outs likelier
const FILE_TIMEOUT_MS = 6 * 60_000; // a busy machine takes many times what a quiet one does

async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const wanted = readTestArguments(argv);
  const fast = wanted.kinds.filter((kind) => kind !== 'e2e').flatMap((kind) => listFiles(kind, wanted));
  const e2e = wanted.kinds.includes('e2e') ? listFiles('e2e', wanted) : [];
  if (fast.length + e2e.length === 0) {
    throw new Error(
      `Cannot run the tests as no file matches: kinds ${wanted.kinds.join(', ')}, filters ${wanted.filters.join(', ') || 'none'}`,
    );
  }
  await removeStaleRuns();
  const testRun = startTestRun();
  try {
    const isRequired = e2e.length > 0 || wanted.kinds.includes('seed');
    const isNeeded = isRequired || wanted.kinds.includes('contract');
    const prepared: PreparedEngine = isNeeded ? await prepareEngine(testRun, { isRequired, signal }) : { env: {} };
    signal.throwIfAborted();
    const phases = [
      ...(fast.length > 0 ? [{ files: fast, concurrency: FAST_CONCURRENCY, timeoutMs: FILE_TIMEOUT_MS }] : []),
      // One by one, as they share the engine and the two cores; after each the engine is as it was before.
      ...e2e.map((file) => ({ files: [file], concurrency: 1, timeoutMs: FILE_TIMEOUT_MS, ...remainsOf(testRun, prepared) })),
    ];
    return await runPlan({ namePatterns: wanted.namePatterns, phases }, { testRun, signal, ...prepared });
  } finally {
    await testRun.remove();
  }
}

/** Nothing where the engine is the machine's own: what is on it may be another's. */
function remainsOf({ env, netns }: TestRun, { engine }: PreparedEngine): Pick<TestPhase, 'remains'> {
  const { TMPDIR: tmp = '', CARA_TEST_RUN: id = '' } = env;
  return engine === undefined ? {} : { remains: { tmp, netns, marker: `CARA_TEST_RUN=${id}`, engineHost: engine.host } };
}

function listFiles(kind: TestKind, { filters }: TestArguments): readonly string[] {
  const files = globSync([...TEST_KINDS[kind]], { cwd: ROOT }).map((file) => path.join(ROOT, file));
  return filterFiles(files.toSorted(), filters);
}

interface PreparedEngine {
  readonly env: Readonly<Record<string, string>>;
  readonly engine?: Engine;
}

/** A private engine for root; else the one that the machine offers. */
async function prepareEngine(
  testRun: TestRun,
  { isRequired, signal }: { readonly isRequired: boolean; readonly signal: AbortSignal },
): Promise<PreparedEngine> {
  if (process.getuid?.() === 0) {
    await ensureDockerInstalled(say);
    signal.throwIfAborted();
    const engine = await startEngine({ dir: path.join(testRun.dir, 'engine'), netns: testRun.netns });
    const env = { CARA_TEST_ENGINE: engine.host, CARA_TEST_NETNS: testRun.netns };
    return { engine, env: { ...env, ...(await buildImages(engine.host)) } };
  }
  const host = await findEngine();
  if (host !== undefined) {
    return { env: { CARA_TEST_ENGINE: host, ...(await buildImages(host)) } };
  }
  const problem = 'no Docker engine answers and starting one needs root';
  if (isRequired) {
    throw new Error(`Cannot run the seed and end-to-end tests as ${problem}: start Docker, or run as root, or name the kinds to run`);
  }
  say(`Running the contract tests against the fake engine alone as ${problem}`);
  return { env: {} };
}

/** @returns more of the tests' environment: where a static busybox lies */
async function buildImages(engineHost: string): Promise<Record<string, string>> {
  await buildHelloImage({ engineHost, cacheDir: CACHE });
  await buildHelloImage({ engineHost, cacheDir: CACHE, tag: HELLO_IMAGE.replace(/:1$/u, ':2'), greeting: 'Welcome back, traveller' });
  const busybox = await findBusybox(CACHE);
  return busybox === undefined ? {} : { CARA_TEST_BUSYBOX: busybox };
}

interface RunContext extends PreparedEngine {
  readonly testRun: TestRun;
  readonly signal: AbortSignal;
}

async function runPlan(plan: TestRunPlan, { testRun, signal, env, engine }: RunContext): Promise<number> {
  const runner = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    path.join(ROOT, 'scripts/lib/test-runner.ts'),
    JSON.stringify(plan),
  ];
  const code = await runAttached([...inNetns(engine?.netns), ...runner], {
    cwd: ROOT,
    env: { ...process.env, ...testRun.env, ...env, NODE_COMPILE_CACHE: path.join(CACHE, 'compile') },
    signal,
  });
  const leftover = signal.aborted ? [] : await testRun.findLeftovers();
  leftover.forEach((line) => say(`Left behind by a test: ${line}`));
  return leftover.length > 0 && code === 0 ? 1 : code;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const interrupt = listenForInterrupt(() => process.exit(130));
try {
  process.exitCode = await main(process.argv.slice(2), interrupt.signal);
} catch (error) {
  if (!interrupt.signal.aborted) {
    say(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
process.exitCode = interrupt.signal.aborted ? interrupt.exitCode() : process.exitCode;
