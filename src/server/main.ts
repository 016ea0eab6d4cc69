/**
 * cara-server: the program, and the lifetime of a server. Everything that touches the world comes in as a port, so that the simulation
 * can run a server among many agents in one process.
 *
 * Owns     the store, the stopper of all loops, and the order of start and stop.
 * Callers  bin/cara-server; tests and the simulation call `startServer`.
 */
import type { FastifyInstance } from 'fastify';
import type { RunningProgram } from '../base/program.ts';
import { Stopper } from '../base/stopper.ts';
import { VERSION } from '../base/version.ts';
import type { Store } from '../store/store.ts';
import { greet } from './auth/first-start.ts';
import { listenLocally } from './auth/local-socket.ts';
import { asksForCredentials, checkApproval } from './auth/mode.ts';
import { SOLE_SEAT } from './cluster/seat.ts';
import { startParts, type ServerParts } from './composition.ts';
import { databaseUrlOf, isLoopback } from './config.ts';
import { closeApp, listen, toReachableUrl } from './listen.ts';
import type { NodeRegistry } from './nodes/node-registry.ts';
import { openOwnStore } from './own-store.ts';
import { isShared, type ServerPorts } from './ports.ts';
import { runServerCommand } from './server-command.ts';
import { openSealer } from './secrets/start-secrets.ts';
import { startTls } from './tls/start-tls.ts';
import type { TlsKeeper } from './tls/tls-keeper.ts';
import type { NodeLinks } from './tunnel/node-links.ts';
import type { TunnelRegistry } from './tunnel/tunnel-registry.ts';

export interface RunningServer extends RunningProgram {
  /** such as http://127.0.0.1:8080, with the port really bound */
  readonly url: string;
  readonly app: FastifyInstance;
  /** for benchmarks and the simulation, which beat without HTTP */
  readonly registry: NodeRegistry;
  /** the ways to nodes */
  readonly links: NodeLinks;
  readonly tunnels: TunnelRegistry;
}

/** What a server is made in. */
interface Frame {
  readonly store: Store;
  readonly stopper: Stopper;
  /** to be called with what broke a loop */
  readonly onCrash: (error: unknown) => void;
  /** settles with that */
  readonly failed: Promise<unknown>;
}

/** A server that listens. */
interface Serving {
  readonly url: string;
  readonly tls: TlsKeeper | undefined;
  /** those of the present role */
  readonly parts: () => Pick<ServerParts, 'registry' | 'links' | 'tunnels' | 'tokens'>;
  readonly app: () => FastifyInstance;
  /** starts what need not run before it listens */
  readonly begin: () => void;
  /** everything but the store */
  readonly stop: () => Promise<void>;
}

/** Starts a server; when this resolves it serves. @throws {StartError} */
export async function startServer(ports: ServerPorts): Promise<RunningServer> {
  const { config, log } = ports;
  checkApproval(config);
  const { promise: failed, resolve: onCrash } = Promise.withResolvers<unknown>();
  const stopper = new Stopper((loop, error) => {
    log.error({ loop, err: error }, 'loop ended');
    onCrash(error);
  });
  const store = ports.store ?? (await openOwnStore(ports));
  const closeStore = async (): Promise<void> => (ports.store === undefined ? store.close() : undefined);
  try {
    const start = isShared(ports) ? startMember : startAlone;
    const serving = await start(ports, { store, stopper, onCrash, failed });
    warnOfExposure(ports, serving.tls);
    log.info({ url: serving.url, dataDir: config.DATA_DIR, version: VERSION }, 'server listening');
    serving.begin();
    await greetPerson(ports, serving, store);
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      log.info('server stopping');
      await serving.stop();
      await closeStore();
      log.info('server stopped');
    };
    return toRunning(serving, failed, () => (stopping ??= stop()));
  } catch (error) {
    await stopper.stop();
    await closeStore();
    throw error;
  }
}

/** The only server on its store. */
async function startAlone(ports: ServerPorts, { store, stopper, failed }: Frame): Promise<Serving> {
  const { config, clock, log } = ports;
  const crashed = failed.then((cause): never => {
    throw cause;
  });
  const tls = ports.listen === false ? undefined : await startTls({ ...ports, stopper });
  const parts = await Promise.race([startParts({ ...ports, tls }, SOLE_SEAT, store, stopper), crashed]);
  const { app, begin, close, save } = parts;
  const url = ports.listen === false ? 'http://cara-server.invalid' : await listen(app, config);
  const isOwn = ports.store === undefined && ports.listen !== false;
  const closeLocal = isOwn ? await listenLocally(app, { dataDir: config.DATA_DIR, log }) : undefined;
  const stop = async (): Promise<void> => {
    // all at once: watches end with the stopper's signal, and only then can the app close
    await Promise.all([closeApp(app, clock), closeLocal?.(), stopper.stop()]);
    await close();
    await save();
  };
  return { url, tls, parts: () => parts, app: () => app, begin, stop };
}

/** A server on PostgreSQL, where there may be others. */
async function startMember(ports: ServerPorts, { store, stopper, onCrash }: Frame): Promise<Serving> {
  const { config } = ports;
  const { startCluster } = await import('./cluster/start-cluster.ts');
  const shared = { store, sealer: await openSealer(config, { ...ports, store, isShared: true }) };
  const tls = ports.listen === false ? undefined : await startTls({ ...ports, stopper, shared });
  const { url, app, parts, stop } = await startCluster<ServerParts>({
    ...ports,
    databaseUrl: databaseUrlOf(config),
    store,
    tls,
    startParts: (seat, ownStore, roleStopper) => startParts({ ...ports, tls }, seat, ownStore, roleStopper),
    onCrash,
  });
  return {
    url,
    tls,
    parts,
    app,
    begin: () => undefined, // each role does when it begins
    stop: async () => void (await Promise.all([stop(), stopper.stop()])),
  };
}

function toRunning({ url, app, parts }: Serving, failed: Promise<unknown>, stop: () => Promise<void>): RunningServer {
  return {
    url,
    get app() {
      return app();
    },
    get registry() {
      return parts().registry;
    },
    get links() {
      return parts().links;
    },
    get tunnels() {
      return parts().tunnels;
    },
    failed,
    stop,
  };
}

/** Shows, at the very first start, how to get in. */
async function greetPerson(ports: ServerPorts, { url, tls, parts }: Serving, store: Store): Promise<void> {
  const { config } = ports;
  if (asksForCredentials(config)) {
    const reachable = config.ADVERTISE_URL ?? toReachableUrl(url, config.HOST);
    const words = await greet({
      ...ports,
      store,
      tokens: parts().tokens,
      url: reachable,
      caFingerprint: tls?.material.fingerprint,
      needsApproval: config.NODE_APPROVAL === 'required',
    });
    if (words !== undefined) {
      ports.tell?.(words);
    }
  }
}

function warnOfExposure({ config, log }: ServerPorts, tls: TlsKeeper | undefined): void {
  const { HOST: host } = config;
  if (!isLoopback(host) && !asksForCredentials(config)) {
    log.warn({ host }, 'everyone who reaches this address controls the fleet: AUTH is none');
  } else if (!isLoopback(host) && tls === undefined) {
    log.warn({ host }, 'tokens travel unencrypted: TLS is off, so keep this network private or put a proxy with TLS in front');
  }
}

if (import.meta.main) {
  await runServerCommand(startServer, { argv: process.argv.slice(2), env: process.env, isRoot: process.getuid?.() === 0 });
}
