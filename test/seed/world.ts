/**
 * What the documents talk about: a control plane, machines with agents and engines, and an operator at a shell who types what the
 * documents say. The programs are the real ones; only their timeouts are shorter.
 *
 * Owns     the server, the machines, the operator's folder, and the containers of the Projects; all gone at the end of the test file.
 */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { run, type RunResult } from '../../scripts/lib/run.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { IMAGES, testEngine } from '../support/engines/engine.ts';
import { startServer, type Program } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { createApiView, untilRefused, type ApiView } from './api-view.ts';
import { clearAway, createMachines, findContainerOn, type Machines, type SeenContainer } from './machines.ts';

/** Instead of 90 s and 30 s, so that a test waits for seconds. */
export const TIMEOUT_MS = 3000;
export const INTERVAL_MS = 500;

/** The server judges by its monotonic clock and shows times of its wall clock, read a moment later: so much may lie between the two. */
export const CLOCK_ERROR_MS = 20;

const TYPING_LIMIT_MS = 30_000;
const BIN = path.join(import.meta.dirname, '../../bin');

export interface World extends ApiView, Omit<Machines, typeof Symbol.asyncDispose>, Operator, Projects {
  readonly server: Program;
  readonly engineHost: string;
  /** Everything that the server keeps. */
  readonly databaseFile: string;
  /** Starts the server again on its data, at its old address. `meanwhile` runs while there is none. */
  restartServer(meanwhile: () => void): Promise<void>;
}

export interface Projects {
  /** Applies a Project of one service that just runs. */
  applyProject(name: string, spec?: object): Promise<void>;
  /** Applies one and waits until it runs. */
  runProject(name: string, spec?: object): Promise<ProjectObject>;
  /** Applies one and waits until the scheduler has refused it a place. @returns why */
  refusal(name: string, spec?: object): Promise<string>;
}

export interface Operator {
  /** Writes a file in the operator's folder, in which `bin` is too. */
  write(file: string, text: string): void;
  /** A line as the operator types it, in the folder, against this server; asserts that it succeeds. @returns its stdout */
  type(line: string, input?: string): Promise<string>;
  /** the same, however it ends */
  tryTyping(line: string, input?: string): Promise<RunResult>;
}

/** Starts the server; it and all else end with the test file. */
export async function startWorld(): Promise<World> {
  const engineHost = testEngine();
  const scratch = makeScratch();
  const projects = new Set<string>();
  const things = new AsyncDisposableStack();
  after(async () => await things.disposeAsync());
  things.defer(() => scratch[Symbol.dispose]());
  things.defer(async () => await clearAway(engineHost, projects));
  const dataDir = path.join(scratch.path, 'server');
  const start = async (env = {}): Promise<Program> =>
    things.use(await startServer({ dataDir, env: { NODE_HEARTBEAT_TIMEOUT: `${TIMEOUT_MS}ms`, ...env } }));
  let server = await start();
  const serverUrl = (): string => server.url;
  const operatorDir = path.join(scratch.path, 'operator');
  const operator = createOperator(operatorDir, serverUrl);
  const machines = things.use(
    createMachines({
      dir: path.join(scratch.path, 'machines'),
      operatorDir,
      realEngineHost: engineHost,
      serverUrl,
      heartbeatIntervalMs: INTERVAL_MS,
    }),
  );
  const view = createApiView(serverUrl);
  return {
    ...view,
    ...operator,
    ...createProjects(view, operator, projects),
    startAgent: async (nodeName, wish) => await machines.startAgent(nodeName, wish),
    contentsOf: async (nodeName) => await machines.contentsOf(nodeName),
    get server() {
      return server;
    },
    engineHost,
    databaseFile: path.join(dataDir, 'cara.db'),
    restartServer: async (meanwhile) => {
      const { port } = new URL(server.url);
      await server.stop();
      meanwhile();
      server = await start({ PORT: port });
    },
  };
}

function createOperator(dir: string, serverUrl: () => string): Operator {
  mkdirSync(dir);
  symlinkSync(BIN, path.join(dir, 'bin'));
  const tryTyping: Operator['tryTyping'] = async (line, input) =>
    await run('sh', ['-c', line], {
      cwd: dir,
      env: { ...process.env, PATH: `${dir}/bin:${process.env['PATH']}`, CARA_SERVER: serverUrl() },
      timeoutMs: TYPING_LIMIT_MS,
      ...(input !== undefined && { input }),
    });
  return {
    write: (file, text) => writeFileSync(path.join(dir, file), text),
    tryTyping,
    type: async (line, input) => {
      const { code, stdout, stderr } = await tryTyping(line, input);
      assert.equal(code, 0, `${line}: ${stderr}`);
      return stdout;
    },
  };
}

/** @param applied takes up the names of all */
function createProjects(view: ApiView, operator: Operator, applied: Set<string>): Projects {
  const applyProject: Projects['applyProject'] = async (name, spec) => {
    applied.add(name);
    await operator.type('caractrl apply -f -', JSON.stringify(projectManifest(name, spec)));
  };
  return {
    applyProject,
    runProject: async (name, spec) => {
      await applyProject(name, spec);
      return await view.untilPhase(name, 'Running');
    },
    refusal: async (name, spec) => {
      await applyProject(name, spec);
      return await untilRefused(view, name);
    },
  };
}

/** A Project of one service that does nothing, for as long as it is let. */
export function projectManifest(name: string, spec: object = {}): object {
  const line = 'trap "exit 0" TERM; while :; do sleep 1; done';
  const service = { name: 'a', image: IMAGES.v1.tag, entrypoint: ['/bin/sh', '-c'], command: [line], stopGracePeriod: '2s' };
  return { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec: { services: [service], ...spec } };
}

/** The container of a Project of this world on worker-01. @returns undefined when there is none */
export async function findContainer({ engineHost }: World, project: string): Promise<SeenContainer | undefined> {
  return await findContainerOn(engineHost, project);
}

/** Asserts that the very same container runs, and was not even restarted. */
export async function assertUntouched(world: World, project: string, before: SeenContainer | undefined): Promise<void> {
  const now = await findContainer(world, project);
  assert.ok(before);
  assert.deepEqual([now?.Id, now?.State.Running, now?.State.StartedAt], [before.Id, true, before.State.StartedAt]);
}
