/**
 * cara-agent: the program, and the lifetime of an agent. Everything that touches the world comes in as a port, so that the
 * simulation can run many in one process.
 *
 * Owns     the lock on the data folder, the stopper of all loops and the order of start and stop.
 * Callers  bin/cara-agent; tests and the simulation call `startAgent`.
 */
import os from 'node:os';
import { join } from 'node:path';
import { readBootClock } from '../base/boot-clock.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { redactConfig } from '../base/config.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { systemDisk, type Disk } from '../base/disk.ts';
import { keepAllPrivate } from '../base/private-files.ts';
import { runProgram, StartError, type RunningProgram } from '../base/program.ts';
import { systemRandom } from '../base/random.ts';
import { Stopper } from '../base/stopper.ts';
import { VERSION } from '../base/version.ts';
import { startParts } from './composition.ts';
import type { AgentPorts } from './compose/ports.ts';
import { agentSettings } from './config.ts';
import { createDockerEngine } from './docker/docker-client.ts';
import type { Engine } from './docker/engine.ts';
import { AGENT_LOCK } from './fence/guard-process.ts';
import { loadIdentity, unusable } from './identity.ts';
import { createKeptLogs } from './logs/kept-logs.ts';
import type { Standing } from './session/standing.ts';

const FORMER_LOGS = 'former-logs';

export interface RunningAgent extends RunningProgram {
  /** of the agent's own HTTP server */
  readonly url: string;
  /** Whether and how the server knows this node. */
  standing(): Standing;
}

/** Starts an agent; when this resolves it supervises what it was last assigned and is on its way to the server. @throws {StartError} */
export async function startAgent(ports: AgentPorts): Promise<RunningAgent> {
  const { config, log } = ports;
  const engine = ports.engine ?? openEngine(config.DOCKER_HOST, ports.clock); // before anything is written: it may be refused
  const disk = ports.disk ?? systemDisk;
  const lock = await takeDataDir(disk, config.DATA_DIR);
  const { promise: failed, resolve: onFailed } = Promise.withResolvers<unknown>();
  const stopper = new Stopper((loop, error) => {
    const fields = error instanceof StartError ? { detail: error.message } : { err: error };
    log.error({ loop, ...fields }, 'loop ended');
    onFailed(error);
  });
  try {
    if (ports.disk === undefined) {
      await keepFilesPrivate(config.DATA_DIR, log);
    }
    const identity = await loadIdentity(config.DATA_DIR, {
      disk,
      random: ports.random,
      osBootId: (ports.bootClock ?? readBootClock()).bootId,
    });
    const keptLogs =
      ports.disk === undefined
        ? createKeptLogs({ folder: join(config.DATA_DIR, FORMER_LOGS), engine, clock: ports.clock, log })
        : undefined;
    const { server, standing } = await startParts({ ...ports, disk, engine, identity, stopper, keptLogs });
    log.info({ url: server.url }, 'agent listening');
    log.info({ node: config.NODE_NAME, serverUrl: config.SERVER_URL, version: VERSION }, 'agent started');
    return {
      url: server.url,
      standing: () => standing.current,
      failed,
      stop: async () => {
        await stopper.stop();
        await server.close();
        engine.close();
        lock.release();
        log.info('agent stopped');
      },
    };
  } catch (error) {
    await stopper.stop();
    lock.release();
    throw error;
  }
}

async function takeDataDir(disk: Disk, dataDir: string): Promise<{ readonly release: () => void }> {
  let lock: Awaited<ReturnType<Disk['takeFolder']>>;
  try {
    lock = await disk.takeFolder(dataDir, AGENT_LOCK);
  } catch (error) {
    throw unusable(dataDir, error);
  }
  if ('heldBy' in lock) {
    throw new StartError(
      `Cannot start as another cara-agent uses ${dataDir}: set DATA_DIR to another folder, or stop process ${lock.heldBy}`,
    );
  }
  return lock;
}

/** Assignments have what manifests have in clear. */
const SECRET_FILES = ['node.key', 'identity.json', 'assignments.json'];

async function keepFilesPrivate(dataDir: string, log: Logger): Promise<void> {
  try {
    await keepAllPrivate(dataDir, SECRET_FILES, log);
  } catch (error) {
    throw unusable(dataDir, error);
  }
}

function openEngine(host: string, clock: Clock): Engine {
  try {
    return createDockerEngine({ host, clock });
  } catch (error) {
    throw error instanceof RangeError ? new StartError(error.message, { cause: error }) : error;
  }
}

if (import.meta.main) {
  const settings = agentSettings({ hostname: os.hostname(), env: process.env, isRoot: process.getuid?.() === 0 });
  await runProgram(
    {
      name: 'cara-agent',
      summary: 'cara-agent keeps the Projects assigned to this machine running on its container engine.',
      settings,
      start: async (config) => {
        const log = createLogger('cara-agent', { level: config.LOG_LEVEL, format: config.LOG_FORMAT });
        log.debug(redactConfig(settings, config), 'configuration');
        return await startAgent({ config, clock: systemClock, random: systemRandom, log });
      },
    },
    { argv: process.argv.slice(2), env: process.env },
  );
}
