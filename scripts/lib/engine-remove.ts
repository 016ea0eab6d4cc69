/** Undoes a private engine from its record, in the run that started it or in a later one. */
import { existsSync, globSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { listOtherEngines, type NetworkSnapshot, restoreNetwork } from './engine-network.ts';
import { unmountBelow } from './mounts.ts';
import { removeNetns } from './netns.ts';
import { argumentsOf, listProcesses, listProcessesInCgroup, type ProcessRecord, stopProcesses } from './process.ts';

/** Content of engine.json. */
export interface EngineRecord {
  /** of its control group, unlike any other */
  readonly name: string;
  /** sockets and run-time state; the engine's folder, or one with a shorter path */
  readonly runDir: string;
  readonly netns: string | undefined;
  /** the host's network before; undefined with a namespace of its own */
  readonly network: NetworkSnapshot | undefined;
  /** folders outside that were not there before; removed where empty */
  readonly madeFolders: readonly string[];
}

const STOP_GRACE_MS = 20_000; // dockerd gives containers 5 s (--shutdown-timeout)

/** Stops the engine recorded in `dir`, removes what it left, and `dir`. No-op when there is no record. */
export async function removeEngine(dir: string): Promise<void> {
  const record = readRecord(dir);
  if (record === undefined) {
    return;
  }
  await stopProcesses(listDaemons(record), STOP_GRACE_MS);
  // containerd, the shims and the containers, where the engine was killed and could not see to them
  await stopProcesses([...listHelpers(record), ...listProcessesInCgroup(record.name)], 0);
  if (record.netns !== undefined) {
    await removeNetns(record.netns);
  }
  await unmountBelow(record.runDir);
  await unmountBelow(path.resolve(dir));
  removeCgroups(record.name);
  if (record.network !== undefined && listOtherEngines().length === 0) {
    await restoreNetwork(record.network);
  }
  record.madeFolders.forEach(removeEmptyFolders);
  rmSync(record.runDir, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
}

function readRecord(dir: string): EngineRecord | undefined {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'engine.json'), 'utf8')) as EngineRecord;
  } catch {
    return undefined; // never started, or removed already
  }
}

function listDaemons({ runDir }: EngineRecord): readonly ProcessRecord[] {
  return listProcesses((pid) => argumentsOf(pid).includes(`${runDir}/docker.pid`));
}

function listHelpers({ runDir }: EngineRecord): readonly ProcessRecord[] {
  const isHelper = (pid: number): boolean => {
    const [program = '', ...args] = argumentsOf(pid);
    return path.basename(program).startsWith('containerd') && args.some((argument) => argument.startsWith(`${runDir}/exec/`));
  };
  return listProcesses(isHelper);
}

/** cgroup v1 has one tree a controller, v2 one in all; an empty group is removed by rmdir(2), its children first. */
function removeCgroups(name: string): void {
  for (const root of globSync([`/sys/fs/cgroup/${name}`, `/sys/fs/cgroup/*/${name}`])) {
    removeEmptyFolders(root);
  }
}

function removeEmptyFolders(root: string): void {
  if (existsSync(root)) {
    [root, ...globSync(`${root}/**/`)].toSorted((left, right) => right.length - left.length).forEach(removeFolder);
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // not empty: somebody else uses it by now
  }
}
