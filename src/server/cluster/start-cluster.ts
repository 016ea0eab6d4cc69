/**
 * Cluster: a server among several on one PostgreSQL. It follows from its start, leads while it holds the lock, and changes from one to
 * the other by putting all parts of a server together anew: what is right after a restart is right after a change of leader.
 *
 * Owns     the front, the membership, and the parts of the present role.
 * Never    leads before everything that the last leader wrote is read, nor follows before its own leading loops have ended.
 * Callers  main.ts
 */
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify';
import { hostname } from 'node:os';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { ServerObject } from '../../api/server.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Stopper } from '../../base/stopper.ts';
import { VERSION } from '../../base/version.ts';
import { parseDatabaseUrl } from '../../store/postgres/database-url.ts';
import type { Store } from '../../store/store.ts';
import { closeApp, listen, toReachableUrl } from '../listen.ts';
import { loadForwardKey } from './forward-key.ts';
import type { TlsKeeper } from '../tls/tls-keeper.ts';
import type { ClusterSession } from './cluster-session.ts';
import { createForwarder, isForLeader, receiveForwarded, type Forwarder, type OpenRequest } from './forward.ts';
import { createFront, type Front } from './front.ts';
import { fenceStore, findLeader, writeLeader, type ServerIdentity } from './leader-record.ts';
import { Membership, SURE_MS, type Office } from './membership.ts';
import { openPostgresSession } from './postgres-session.ts';
import type { Seat } from './seat.ts';
import { toServerObject } from './server-objects.ts';

/** What a role is made of; composition.ts knows what else there is. */
export interface RoleParts {
  readonly app: FastifyInstance;
  /** starts what need not run before the app has the socket; called once it has */
  readonly begin: () => void;
  readonly close: () => Promise<void>;
  readonly save: () => Promise<void>;
}

export interface ClusterConfig {
  readonly HOST: string;
  readonly PORT: number;
  readonly SERVER_NAME: string | undefined;
  readonly ADVERTISE_URL: string | undefined;
}

/** What lies between the servers, where it is not PostgreSQL and HTTP: given by the simulation. */
export interface ClusterPorts {
  readonly openSession: () => Promise<ClusterSession>;
  readonly request: OpenRequest;
}

export interface ClusterDeps<Parts extends RoleParts> {
  readonly config: ClusterConfig;
  readonly databaseUrl: string;
  /** default: PostgreSQL at `databaseUrl`, and HTTP */
  readonly cluster?: ClusterPorts | undefined;
  /** false: no socket, the app of the present role is called through `app.inject` */
  readonly listen?: boolean;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** undefined: plain HTTP */
  readonly tls: TlsKeeper | undefined;
  /** puts a server of this role together */
  readonly startParts: (seat: Seat, store: Store, stopper: Stopper) => Promise<Parts>;
  /** called with what broke a loop */
  readonly onCrash: (error: unknown) => void;
}

export interface RunningCluster<Parts extends RoleParts> {
  readonly url: string;
  /** without a socket: that of the present role */
  readonly app: () => FastifyInstance;
  /** those of the present role */
  readonly parts: () => Parts;
  readonly stop: () => Promise<void>;
}

/** A role that is being played. */
interface Played<Parts> {
  readonly parts: Parts;
  readonly stopper: Stopper;
}

/** Starts a server as a follower; when this resolves it serves. */
export async function startCluster<Parts extends RoleParts>(deps: ClusterDeps<Parts>): Promise<RunningCluster<Parts>> {
  const { config, clock, random, log, store } = deps;
  const front = createFront(deps.tls);
  const url = deps.listen === false ? (config.ADVERTISE_URL ?? 'http://cara-server.invalid') : await listen(front.app, config);
  const identity: ServerIdentity = {
    id: random.uuid(),
    name: config.SERVER_NAME ?? hostname(),
    url: config.ADVERTISE_URL ?? toReachableUrl(url, config.HOST),
  };
  const cluster = new Cluster(deps, { front, identity, key: await loadForwardKey({ store, random, clock }) });
  const stopper = new Stopper((loop, error) => {
    log.error({ loop, err: error }, 'loop ended');
    deps.onCrash(error);
  });
  try {
    await cluster.follow();
    stopper.spawn('membership', (signal) => cluster.membership.run(signal));
  } catch (error) {
    await closeApp(front.app, clock);
    throw error;
  }
  log.info({ server: identity.name, advertised: identity.url, version: VERSION }, 'server takes part in a cluster');
  return {
    url,
    app: () => (deps.listen === false ? (front.current() ?? front.app) : front.app),
    parts: () => cluster.parts,
    stop: async () => {
      await Promise.all([closeApp(front.app, clock), stopper.stop().then(() => cluster.stop())]);
    },
  };
}

class Cluster<Parts extends RoleParts> {
  readonly membership: Membership;
  readonly #deps: ClusterDeps<Parts>;
  readonly #front: Front;
  readonly #identity: ServerIdentity;
  readonly #key: string;
  readonly #forwarder: Forwarder;
  #played: Played<Parts> | undefined;

  constructor(
    deps: ClusterDeps<Parts>,
    { front, identity, key }: { readonly front: Front; readonly identity: ServerIdentity; readonly key: string },
  ) {
    this.#deps = deps;
    this.#front = front;
    this.#identity = identity;
    this.#key = key;
    const { databaseUrl, cluster } = deps;
    this.membership = new Membership({
      ...deps,
      identity,
      open: cluster?.openSession ?? (() => openPostgresSession(parseDatabaseUrl(databaseUrl))),
      lead: (office) => this.#lead(office),
    });
    this.#forwarder = createForwarder({
      findLeaderUrl: () => this.#findLeaderUrl(),
      key,
      authorities: () => deps.tls?.material.roots ?? [],
      request: cluster?.request,
    });
  }

  get parts(): Parts {
    if (this.#played === undefined) {
      throw new Error('no role is played');
    }
    return this.#played.parts;
  }

  async follow(): Promise<void> {
    const seat: Seat = {
      role: 'follows',
      mayGrant: () => false,
      grantSlackMs: 0,
      onRequest: this.#handOn(),
      listServers: () => this.#listServers(),
    };
    await this.#play(seat, this.#deps.store);
    await this.#front.use(this.parts.app, (request, socket, head) => {
      if (!isForLeader('UPGRADE', request.url ?? '')) {
        return false;
      }
      this.#forwarder.upgrade(request, socket, head).catch(() => {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      });
      return true;
    });
  }

  async stop(): Promise<void> {
    await this.#end();
    this.#forwarder.close();
  }

  async #lead(office: Office): Promise<void> {
    const { log, store, clock, onCrash } = this.#deps;
    const clusterLog = log.child({ component: 'cluster' });
    let isOver = false; // when all that leads has ended, and written what it had to
    try {
      const record = await writeLeader(store, this.#identity, clock);
      clusterLog.info({ server: this.#identity.name, epoch: record.epoch }, 'this server leads');
      await this.#end();
      const fenced = fenceStore(store, record, { isOver: () => isOver, onDeposed: () => office.resign() });
      const seat: Seat = {
        role: 'leads',
        mayGrant: office.isSure,
        grantSlackMs: SURE_MS,
        onRequest: (request, _reply, done) => {
          receiveForwarded(request.raw, this.#key);
          done();
        },
        listServers: () => this.#listServers(),
      };
      await this.#play(seat, fenced);
      await this.#front.use(this.parts.app);
      this.parts.begin();
      await aborted(office.signal);
      clusterLog.info({ server: this.#identity.name, epoch: record.epoch }, 'this server leads no longer');
    } catch (error) {
      if (!hasReason(error, 'Unavailable', 'Conflict')) {
        onCrash(error);
        return;
      }
      clusterLog.warn({ detail: error.message }, 'cannot begin to lead');
      office.resign();
    }
    await this.#end();
    isOver = true;
    await this.follow();
  }

  async #play(seat: Seat, store: Store): Promise<void> {
    const { log, startParts, onCrash } = this.#deps;
    const stopper = new Stopper((loop, error) => {
      log.error({ loop, err: error }, 'loop ended');
      onCrash(error);
    });
    try {
      this.#played = { parts: await startParts(seat, store, stopper), stopper };
    } catch (error) {
      await stopper.stop();
      throw error;
    }
  }

  /** Ends the present role; answers that are under way end by themselves. */
  async #end(): Promise<void> {
    const played = this.#played;
    this.#played = undefined;
    if (played !== undefined) {
      await played.stopper.stop();
      await played.parts.close();
      await played.parts.save();
    }
  }

  /** Hands on what is for the leader. Reads go on here where there is none: what is stored is better than nothing. */
  #handOn(): onRequestAsyncHookHandler {
    return async (request, reply) => {
      const isForwarded = receiveForwarded(request.raw, this.#key);
      if (!isForLeader(request.method, request.url)) {
        return;
      }
      if (isForwarded) {
        throw new ApiError('Unavailable', 'Cannot answer as this server does not lead any more, or not yet: try again', {
          retryAfterMs: 1000,
        });
      }
      try {
        await this.#forwarder.forward(request, reply);
      } catch (error) {
        if (request.method !== 'GET' || !hasReason(error, 'Unavailable')) {
          throw error;
        }
      }
    };
  }

  async #findLeaderUrl(): Promise<string | undefined> {
    const leader = await findLeader(this.#deps.store);
    return leader === undefined || leader.server.id === this.#identity.id ? undefined : leader.server.url;
  }

  async #listServers(): Promise<readonly ServerObject[]> {
    const leader = await findLeader(this.#deps.store);
    return (await this.membership.list()).map((server) => toServerObject(server, leader?.server.id));
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (!signal.aborted) {
    await promise;
  }
}
