/** What one run of the tests owns on this machine, and how it is removed; by the run itself, or by the next one after a crash. */
import { randomBytes } from 'node:crypto';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { removeEngine } from './engine-remove.ts';
import { unmountBelow } from './mounts.ts';
import { removeNetns } from './netns.ts';
import { argumentsOf, findProcess, isRunning, listProcessesWith, type ProcessRecord, stopProcesses } from './process.ts';
import { removeHosts } from './test-remains.ts';
import { until } from './wait.ts';

const PREFIX = '/tmp/cara-test-'; // short whatever TMPDIR is: unix socket paths end at 107 characters

export interface TestRun {
  readonly dir: string;
  /** of the run's network namespace; those that tests make for further hosts are named `${netns}-…` */
  readonly netns: string;
  /** marks every process of the run, and points the tests' temporary files below `dir` */
  readonly env: Readonly<Record<string, string>>;
  /** Lines about processes that outlived the tests; they get two seconds to go. */
  findLeftovers(): Promise<readonly string[]>;
  /** Ends and removes everything. */
  remove(): Promise<void>;
}

/** Content of run.json. */
interface RunRecord {
  readonly owner: ProcessRecord;
  readonly netns: string;
  readonly marker: string;
}

export function startTestRun(): TestRun {
  const owner = findProcess(process.pid) ?? { pid: process.pid, startTime: '' };
  const id = randomBytes(3).toString('hex');
  const dir = mkdtempSync(PREFIX);
  chmodSync(dir, 0o711); // a PostgreSQL of the tests runs as another user, and has to reach its own folder in it
  const record: RunRecord = { owner, netns: `cara-test-${id}`, marker: `CARA_TEST_RUN=${id}` };
  writeFileSync(path.join(dir, 'run.json'), JSON.stringify(record));
  const tmp = path.join(dir, 't');
  mkdirSync(tmp);
  return {
    dir,
    netns: record.netns,
    env: { TMPDIR: tmp, CARA_TEST_RUN: id },
    findLeftovers: async () => {
      const list = (): readonly ProcessRecord[] => listProcessesWith(record.marker);
      await until(() => list().length === 0, { what: 'processes of the tests to end', timeoutMs: 2000 }).catch(() => undefined);
      return list().map(({ pid }) => `pid ${pid}: ${argumentsOf(pid).join(' ')}`);
    },
    remove: async () => await removeRun(dir, record),
  };
}

/** Removes what runs whose process is dead have left. */
export async function removeStaleRuns(): Promise<void> {
  for (const dir of globSync(`${PREFIX}*`)) {
    const record = readRecord(dir);
    if (record !== undefined && !isRunning(record.owner)) {
      await removeRun(dir, record);
    }
  }
}

async function removeRun(dir: string, record: RunRecord): Promise<void> {
  await stopProcesses(listProcessesWith(record.marker), 0);
  await removeEngine(path.join(dir, 'engine'));
  await removeHosts({ tmp: path.join(dir, 't'), netns: record.netns });
  await removeNetns(record.netns);
  if (process.platform === 'linux') {
    await unmountBelow(dir);
  }
  rmSync(dir, { recursive: true, force: true });
}

function readRecord(dir: string): RunRecord | undefined {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'run.json'), 'utf8')) as RunRecord;
  } catch {
    return undefined; // another user's, or being made
  }
}
