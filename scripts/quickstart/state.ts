/**
 * What the quickstart has started, on disk before it matters, so that a run that was killed can be cleaned up by the next.
 *
 * Owns     state.json in the quickstart's folder; written whole at each change, gone when nothing is left to clean up.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { removeEngine } from '../lib/engine-remove.ts';
import { argumentsOf, findProcess, isRunning, type ProcessRecord, sendSignal, stopProcesses } from '../lib/process.ts';
import { until } from '../lib/wait.ts';
import { removeProjectFromEngine } from './engine-leftovers.ts';

/** Content of state.json. */
export interface QuickstartState {
  readonly owner: ProcessRecord;
  /** each with a word that its command line must hold to be taken for it */
  readonly programs: readonly (ProcessRecord & { readonly commandHolds: string })[];
  /** where the containers are */
  readonly engineHost?: string;
  /** labels them */
  readonly projectUid?: string;
}

export class StateFile {
  readonly #file: string;
  #state: QuickstartState;

  constructor(dir: string) {
    this.#file = stateFileOf(dir);
    this.#state = { owner: findProcess(process.pid) ?? { pid: process.pid, startTime: '' }, programs: [] };
    this.#write();
  }

  get state(): QuickstartState {
    return this.#state;
  }

  addProgram(pid: number, commandHolds: string): void {
    const record = findProcess(pid);
    if (record !== undefined) {
      this.update({ programs: [...this.#state.programs, { ...record, commandHolds }] });
    }
  }

  update(change: Partial<QuickstartState>): void {
    this.#state = { ...this.#state, ...change };
    this.#write();
  }

  #write(): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#state, undefined, 2));
    renameSync(`${this.#file}.new`, this.#file);
  }
}

const OWNER_LIMIT_MS = 90_000;
const PROGRAM_GRACE_MS = 5000;

/** Cleans up after an earlier run in `dir`, stopping it first where it still runs. @param say told what there was to do */
export async function recover(dir: string, say: (line: string) => void): Promise<void> {
  const state = readState(dir);
  if (state !== undefined && isRunning(state.owner) && state.owner.pid !== process.pid && holds(state.owner, 'quickstart')) {
    say(`Another quickstart runs in this folder (pid ${state.owner.pid}): stopping it first; for two side by side, use --dir`);
    sendSignal(state.owner, 'SIGTERM');
    await until(() => !isRunning(state.owner), { what: `pid ${state.owner.pid} to end`, timeoutMs: OWNER_LIMIT_MS });
  }
  const left = readState(dir); // the other run has removed it where it could clean up itself
  if (left !== undefined) {
    say('Cleaning up after a run that was killed');
    await removeTraces(dir, left);
  }
}

/** Ends the programs, removes what they have in the engine, and the engine if it is ours. Safe to repeat. */
export async function removeTraces(dir: string, { programs, engineHost, projectUid }: QuickstartState): Promise<void> {
  // the agent before the server, so that it can say goodbye, and both before the engine
  for (const program of programs.toReversed().filter((record) => holds(record, record.commandHolds))) {
    await stopProcesses([program], PROGRAM_GRACE_MS);
  }
  if (engineHost !== undefined && projectUid !== undefined) {
    await removeProjectFromEngine(engineHost, projectUid);
  }
  await removeEngine(engineDirOf(dir));
  for (const name of ['server', 'agent', 'hello.yaml', 'cache/compile']) {
    rmSync(path.join(dir, name), { recursive: true, force: true });
  }
  rmSync(stateFileOf(dir), { force: true });
}

export function engineDirOf(dir: string): string {
  return path.join(dir, 'engine');
}

function holds({ pid }: ProcessRecord, word: string): boolean {
  return argumentsOf(pid).some((argument) => argument.includes(word));
}

function stateFileOf(dir: string): string {
  return path.join(dir, 'state.json');
}

function readState(dir: string): QuickstartState | undefined {
  try {
    return JSON.parse(readFileSync(stateFileOf(dir), 'utf8')) as QuickstartState;
  } catch {
    return undefined; // the first run, or all was cleaned up
  }
}
