/** What a test file has left on the machine when it ended, and its removal: so that one that fails takes no other with it. */
import { existsSync, globSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { callEngine, callEngineJson } from './engine-http.ts';
import { removeEngine } from './engine-remove.ts';
import { removeNetns } from './netns.ts';
import { argumentsOf, listProcessesWith, stopProcesses } from './process.ts';

const OURS = 'cara_'; // how the names of all begin that cara-agent makes

/** Hosts that tests made: their engines lie below `tmp`, their network namespaces are named `${netns}-…`. */
export interface TestHosts {
  readonly tmp: string;
  readonly netns: string;
}

export interface RemainsOptions extends TestHosts {
  /** NAME=value in the environment of all that tests start */
  readonly marker: string;
  /** of the engine that the tests share */
  readonly engineHost: string;
}

/** Ends and removes all of it. Call it while no test runs. @returns a line for each thing found */
export async function removeRemains(options: RemainsOptions): Promise<readonly string[]> {
  const processes = listProcessesWith(options.marker);
  const lines = processes.map(({ pid }) => `pid ${pid}: ${argumentsOf(pid).join(' ')}`);
  await stopProcesses(processes, 0);
  const hosts = await removeHosts(options);
  return [...lines, ...hosts, ...(await clearEngine(options.engineHost))];
}

/** @returns a line for each engine and namespace */
export async function removeHosts({ tmp, netns }: TestHosts): Promise<readonly string[]> {
  const engines = globSync([`${tmp}/*/engine.json`, `${tmp}/*/*/engine.json`]).map((file) => path.dirname(file));
  for (const dir of engines) {
    await removeEngine(dir);
  }
  const all = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  const namespaces = all.filter((name) => name.startsWith(`${netns}-`));
  for (const name of namespaces) {
    await removeNetns(name);
  }
  return [...engines.map((dir) => `engine ${dir}`), ...namespaces.map((name) => `network namespace ${name}`)];
}

/** Containers first: they hold networks and volumes. */
async function clearEngine(host: string): Promise<readonly string[]> {
  const get = async (target: string): Promise<unknown> => await callEngineJson({ host, path: target });
  const remove = async (kind: string, name: string, target: string): Promise<string> => {
    const { status, text } = await callEngine({ host, method: 'DELETE', path: target });
    const isGone = status < 400 || status === 404; // what was on its way out when it was listed
    return isGone ? `${kind} ${name}` : `${kind} ${name}, which cannot be removed: ${text.trim()}`;
  };
  const lines: string[] = [];
  for (const { Id, Names } of (await get('/containers/json?all=1')) as { Id: string; Names: string[] }[]) {
    const name = (Names[0] ?? '').slice(1);
    if (name.startsWith(OURS)) {
      lines.push(await remove('container', name, `/containers/${Id}?force=1&v=1`));
    }
  }
  for (const { Id, Name } of (await get('/networks')) as { Id: string; Name: string }[]) {
    if (Name.startsWith(OURS)) {
      lines.push(await remove('network', Name, `/networks/${Id}`));
    }
  }
  const { Volumes: volumes } = (await get('/volumes')) as { Volumes: { Name: string }[] | null };
  for (const { Name } of volumes ?? []) {
    if (Name.startsWith(OURS)) {
      lines.push(await remove('volume', Name, `/volumes/${Name}?force=1`));
    }
  }
  return lines;
}
