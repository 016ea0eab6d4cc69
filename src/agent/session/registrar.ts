/**
 * Registrar: makes this node known to the server, and learns which cluster it has joined.
 *
 * Owns     the back-off between attempts; it ends only when the first heartbeat after a registration is accepted, so that a server
 *          that takes registrations but knows no node is not stormed.
 * Never    decides to register: session.ts does, at the start and when the server does not know the node.
 * Callers  session.ts.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { Registration } from '../../api/node.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { StartError } from '../../base/program.ts';
import type { Random } from '../../base/random.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { Outage } from '../outage.ts';
import { isHeldByAnother, type StandingCell } from './standing.ts';

const BACKOFF = { baseMs: 1000, capMs: 15_000 }; // full jitter: a fleet that lost its server comes back spread over 15 s
const REFUSED_BACKOFF = { baseMs: 30_000, capMs: 60_000 }; // a name that is taken stays so until a person does something

export interface Registrar {
  /** Registers once more, for a credential that the server knows; gives up at the first failure, as the node is registered. */
  renew(signal: AbortSignal): Promise<void>;
  /**
   * Registers, however long it takes.
   * @returns deleted: this process had registered before, and the node was deleted since; only the next start of the agent brings it back
   * @throws {StartError} when the server refuses an agent that has never joined: then only a person can help
   */
  register(signal: AbortSignal): Promise<'registered' | 'deleted'>;
  /** To be told of each accepted heartbeat. */
  confirm(): void;
}

export interface RegistrarOptions {
  readonly client: Pick<CaraClient, 'serverUrl' | 'version' | 'registerNode'>;
  readonly nodeName: string;
  readonly registration: () => Registration;
  /** called after each registration with the cluster that the server belongs to; resolves when the agent is ready for its work */
  readonly onCluster: (clusterId: string) => Promise<void>;
  /** called after each registration with what the server will show the agent's own API from then on */
  readonly onCredential: (credential: string) => void;
  /** called when another machine holds the name: this one goes on supervising, and asks again now and then */
  readonly onRefused: () => void;
  /** whether a server has taken a registration of this process; the registrar notes it */
  readonly standing: Pick<StandingCell, 'hasRegistered'>;
  /** whether this agent has joined before and so may have Projects to keep up: then no refusal ends it */
  readonly hasJoined: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createRegistrar(options: RegistrarOptions): Registrar {
  const { client, nodeName, registration, onCluster, onCredential, onRefused, standing, hasJoined, clock, random, log } = options;
  const backoff = new Backoff(BACKOFF, random);
  const refusedBackoff = new Backoff(REFUSED_BACKOFF, random);
  const outage = new Outage(log, clock, 'registration');
  let isUnconfirmed = false;

  async function attempt(signal: AbortSignal): Promise<void> {
    const { clusterId } = await client.version(signal);
    if (typeof clusterId !== 'string' || clusterId === '') {
      throw new ApiError('Unavailable', `Cannot register as no cara-server answers at ${client.serverUrl}: check SERVER_URL`);
    }
    const { agentCredential } = await client.registerNode(nodeName, registration(), signal);
    standing.hasRegistered = true;
    if (agentCredential !== undefined) {
      onCredential(agentCredential);
    }
    await onCluster(clusterId);
  }

  /** @returns how long to wait before the next attempt, in milliseconds */
  function handleFailure(error: unknown): number {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    // NodeDeleted without a credential asked for: the answer to an attempt before was lost, and the node deleted since
    if (isRefusal(error) && error.reason !== 'NodeDeleted' && !hasJoined()) {
      throw new StartError(`Cannot register node "${nodeName}" at ${client.serverUrl}: ${error.message}`, { cause: error });
    }
    outage.failed(error);
    if (isHeldByAnother(error)) {
      onRefused();
    }
    const isForPeople = isRefusal(error) || isHeldByAnother(error);
    return error.retryAfterMs ?? (isForPeople ? refusedBackoff : backoff).nextMs();
  }

  return {
    renew: async (signal) => {
      try {
        await attempt(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ApiError)) {
          throw error;
        }
      }
    },
    register: async (signal) => {
      if (isUnconfirmed) {
        await clock.sleep(backoff.nextMs(), signal);
      }
      for (;;) {
        try {
          await attempt(signal);
          break;
        } catch (error) {
          signal.throwIfAborted();
          if (standing.hasRegistered && hasReason(error, 'NodeDeleted')) {
            isUnconfirmed = true;
            return 'deleted';
          }
          await clock.sleep(handleFailure(error), signal);
        }
      }
      isUnconfirmed = true;
      outage.recovered();
      log.info({ node: nodeName, serverUrl: client.serverUrl }, 'node registered');
      return 'registered';
    },
    confirm: () => {
      isUnconfirmed = false;
      backoff.reset();
      refusedBackoff.reset();
    },
  };
}

/** What trying again cannot mend. A name that is taken may come free; NotFound may be a proxy whose server is not up. */
function isRefusal(error: ApiError): boolean {
  return error.status < 500 && !error.isRetryable && !isHeldByAnother(error) && error.reason !== 'NotFound';
}
