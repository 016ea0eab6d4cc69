/**
 * The Docker engines of the end-to-end tests. `npm run test:e2e` starts one for all and runs the tests in its network namespace, where
 * 127.0.0.1 and host ports are what the engine, the programs and the test itself see.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callEngineJson } from '../../../scripts/lib/engine-http.ts';
import { type Engine, startEngine } from '../../../scripts/lib/engine.ts';
import { buildHelloImage } from '../../../scripts/lib/hello-image.ts';
import { runOrThrow } from '../../../scripts/lib/run.ts';

/** Both are on the engine of `testEngine()`; they differ in what the greeter says. */
export const IMAGES = {
  v1: { tag: 'caravanserai/hello:1', greeting: 'Welcome, traveller' },
  v2: { tag: 'caravanserai/hello:2', greeting: 'Welcome back, traveller' },
} as const;

const BUSYBOX_CACHE = path.join(import.meta.dirname, '../../../node_modules/.cache/caravanserai');

/** DOCKER_HOST of the engine that all end-to-end tests share. @throws {Error} outside `npm run test:e2e` */
export function testEngine(): string {
  const host = process.env['CARA_TEST_ENGINE'];
  if (host === undefined) {
    throw new Error('Cannot find the engine of the end-to-end tests: run them with: npm run test:e2e -- FILE');
  }
  return host;
}

let extraEngines = 0;

export interface ExtraEngineOptions {
  /** 'own': a namespace of its own, as another host; 'shared' (default): where the test runs */
  readonly network?: 'own' | 'shared';
  /** builds the images of IMAGES into it; default 'none' */
  readonly images?: 'hello' | 'none';
  /** keeps its data on a disk of its own of so many MB, which a test can fill; needs loop devices */
  readonly diskMegabytes?: number;
  /** containers go on running while the engine is away */
  readonly hasLiveRestore?: boolean;
}

/**
 * Starts one more engine, for tests that stop or kill theirs, or that need several hosts. `await using` it.
 * With `network: 'own'` its `netns` is for `startAgent`, and links to it are the test's to make.
 */
export async function startExtraEngine(options: ExtraEngineOptions = {}): Promise<Engine> {
  extraEngines += 1;
  const prefix = process.env['CARA_TEST_NETNS'] ?? `cara-test-${process.pid}`;
  const netns = options.network === 'own' ? { netns: `${prefix}-${process.pid}-${extraEngines}` } : {};
  const dir = mkdtempSync(path.join(tmpdir(), 'e'));
  if (options.diskMegabytes !== undefined) {
    await mountDisk(path.join(dir, 'data'), options.diskMegabytes);
  }
  const engine = await startEngine({ dir, ...netns, ...(options.hasLiveRestore === true && { settings: { 'live-restore': true } }) });
  if (options.images === 'hello') {
    await buildHelloImage({ engineHost: engine.host, cacheDir: BUSYBOX_CACHE });
    await buildHelloImage({ engineHost: engine.host, cacheDir: BUSYBOX_CACHE, ...IMAGES.v2 });
  }
  return engine;
}

/** Mounts a new file system of that size; the engine whose folder it is in unmounts it at its end, and with that the loop device goes. */
async function mountDisk(folder: string, megabytes: number): Promise<void> {
  const image = `${folder}.img`;
  mkdirSync(folder, { recursive: true });
  await runOrThrow('truncate', ['--size', `${megabytes}M`, image], { timeoutMs: 60_000 });
  await runOrThrow('mkfs.ext4', ['-q', '-m', '0', image], { timeoutMs: 60_000 }); // none reserved for root: what is free is free for all
  await runOrThrow('mount', ['-o', 'loop', image, folder], { timeoutMs: 60_000 });
}

export interface EngineContents {
  /** name -> id; names without the leading slash, stopped containers too */
  readonly containers: Readonly<Record<string, string>>;
  /** names; without the three that every engine has */
  readonly networks: readonly string[];
  readonly volumes: readonly string[];
}

/** What of ours an engine holds, by name: all containers, networks and volumes whose names start with `prefix`. */
export async function contentsOf(engineHost: string, prefix = 'cara_'): Promise<EngineContents> {
  const get = async (target: string): Promise<unknown> => await callEngineJson({ host: engineHost, path: target });
  const containers = (await get('/containers/json?all=1')) as { Id: string; Names: string[] }[];
  const networks = (await get('/networks')) as { Name: string }[];
  const { Volumes: volumes } = (await get('/volumes')) as { Volumes: { Name: string }[] | null };
  const named = containers.map(({ Id, Names }) => [(Names[0] ?? '').slice(1), Id] as const);
  return {
    containers: Object.fromEntries(named.filter(([name]) => name.startsWith(prefix))),
    networks: networks.map(({ Name }) => Name).filter((name) => name.startsWith(prefix)),
    volumes: (volumes ?? []).map(({ Name }) => Name).filter((name) => name.startsWith(prefix)),
  };
}

/** Container name -> id and start time, for all of ours on an engine: what a restart would change. */
export async function startsOf(engineHost: string): Promise<Readonly<Record<string, string>>> {
  const { containers } = await contentsOf(engineHost);
  const starts = Object.entries(containers).map(async ([name, id]) => {
    const { State } = (await callEngineJson({ host: engineHost, path: `/containers/${id}/json` })) as { State: { StartedAt: string } };
    return [name, `${id} ${State.StartedAt}`] as const;
  });
  return Object.fromEntries(await Promise.all(starts));
}
