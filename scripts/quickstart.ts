/**
 * npm run quickstart: Caravanserai on this machine, from nothing to a page.
 *
 * Owns     one folder, which it names, and everything it starts: recorded there before it matters, and gone at the end.
 * Never    touches an engine's containers other than its own Project's.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { VERSION } from '../src/base/version.ts';
import { type Interrupt, listenForInterrupt } from './lib/interrupt.ts';
import { type Cluster, type QuickstartContext, startCluster } from './quickstart/cluster.ts';
import { deleteProject, runProject, showCluster } from './quickstart/hello.ts';
import { QuickstartMisuse, type QuickstartOptions, readOptions, USAGE } from './quickstart/options.ts';
import { ProgramFailure, readTail, ROOT } from './quickstart/programs.ts';
import { createScreen } from './quickstart/screen.ts';
import { recover, removeTraces, StateFile } from './quickstart/state.ts';

const TAIL_LINES = 12;
const LOGS = ['engine.log', 'server.log', 'agent.log'];
const A_DAY_MS = 86_400_000;

const screen = createScreen(process.stdout, systemClock);

async function quickstart(options: QuickstartOptions, interrupted: AbortSignal): Promise<void> {
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  screen.line(`${screen.paint('bold', `Caravanserai ${VERSION}`)}: everything of this run is in ${dir}`);
  await recover(dir, (line) => screen.line(line));
  LOGS.forEach((name) => rmSync(path.join(dir, name), { force: true }));
  const failed = new AbortController();
  const context = { dir, screen, file: new StateFile(dir), signal: AbortSignal.any([interrupted, failed.signal]) };
  let cluster: Cluster | undefined;
  try {
    cluster = await startCluster(context);
    const presented = present(cluster, context, options);
    await Promise.race([presented, ...cluster.programs.map(({ ended }) => ended)]).catch(async (error: unknown) => {
      failed.abort();
      await presented.catch(() => undefined); // `error` is what came first
      throw error;
    });
  } finally {
    await cleanUp(context, cluster);
  }
}

async function present(cluster: Cluster, context: QuickstartContext, options: QuickstartOptions): Promise<void> {
  await runProject(cluster, context);
  await showCluster(cluster, context, options);
  if (!options.isOnce) {
    screen.line(`\nRunning until ${screen.paint('bold', 'Ctrl-C')}.`);
    while (!context.signal.aborted) {
      await systemClock.sleep(A_DAY_MS, context.signal).catch(() => undefined); // aborted: the loop ends
    }
  }
}

/** Undoes everything, the kind way first: the Project is deleted through the API, so that the agent takes its containers down. */
async function cleanUp({ dir, file }: QuickstartContext, cluster: Cluster | undefined): Promise<void> {
  screen.line();
  if (cluster !== undefined && cluster.programs.every((program) => !program.hasEnded())) {
    await screen
      .task(
        'Cleaning up',
        async () => await deleteProject(cluster.client),
        () => 'the Project is gone',
      )
      .catch(() => screen.line('  The Project could not be deleted through the API: removing its containers directly'));
  }
  await screen.task(
    'Cleaning up',
    async () => await removeTraces(dir, file.state),
    () => `all is stopped; logs stay in ${dir}`,
  );
}

/** @returns the exit code */
async function main(interrupt: Interrupt): Promise<number> {
  const defaults = {
    isTerminal: process.stdout.isTTY && process.stdin.isTTY,
    dir: path.join(ROOT, '.quickstart'),
    cwd: process.env['INIT_CWD'] ?? process.cwd(),
  };
  const options = readOptions(process.argv.slice(2), defaults);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  await quickstart(options, interrupt.signal);
  return options.isOnce && interrupt.signal.aborted ? interrupt.exitCode() : 0;
}

const interrupt = listenForInterrupt(() => {
  process.stderr.write('\nLeft as it is: the next quickstart in this folder cleans up\n');
  process.exit(130);
});
try {
  process.exitCode = await main(interrupt);
} catch (error) {
  process.exitCode = interrupt.signal.aborted ? interrupt.exitCode() : error instanceof QuickstartMisuse ? 2 : 1;
  if (!interrupt.signal.aborted) {
    const tail = error instanceof ProgramFailure ? readTail(error.logFile, TAIL_LINES) : '';
    process.stderr.write(`\nerror: ${error instanceof Error ? error.message : String(error)}\n`);
    process.stderr.write(tail === '' ? '' : `Last lines of ${(error as ProgramFailure).logFile}:\n${tail.replace(/^/gmu, '  ')}\n`);
  }
}
