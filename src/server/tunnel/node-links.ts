/**
 * Node links: how the server reaches the agent of any node, directly or through its tunnel.
 *
 * Owns     the choice: the direct way where the agent's address answers and proves to be the agent (direct-ways.ts knows), else the tunnel;
 *          the other one, once, where the one taken breaks.
 * Never    asks twice for what an agent has begun to answer.
 * Callers  http/routes (logs, exec, port-forward, links). One server of several knows only the tunnels that end at itself:
 *          `TunnelRegistry` is where to look for who has a node's.
 */
import type { Duplex } from 'node:stream';
import { hasReason } from '../../api/errors.ts';
import type { LinkReport } from '../../api/node/link-report.ts';
import type { NodeObject } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { notFound } from '../objects/not-found.ts';
import type { AgentCredentials } from './agent-credentials.ts';
import type { AgentAddress } from './direct-link.ts';
import { describeUnreachable } from './describe-unreachable.ts';
import { DirectWays } from './direct-ways.ts';
import { LinkBroken, type NodeAnswer, type NodeRequest, type Remote } from './remote.ts';
import type { TunnelRegistry } from './tunnel-registry.ts';

export type { NodeAnswer, NodeRequest } from './remote.ts';

export interface NodeLinks {
  /**
   * Asks the node's agent.
   * @throws {ApiError} NodeUnreachable where there is no way to it; NotFound where there is no such node; whatever the agent refuses
   */
  request(node: string, request: NodeRequest, signal: AbortSignal): Promise<NodeAnswer>;
  /**
   * Opens a stream both ways with the node's agent: bytes as they are, each direction ends by itself. Aborting the signal cuts it.
   * @param path and query of the agent's API, such as /api/v1/forward/shop/web/80 @throws as `request`
   */
  open(node: string, path: string, signal: AbortSignal): Promise<Duplex>;
  /** Finds the way that would be taken now, and how long a round trip takes. @throws {ApiError} NotFound */
  measure(node: string, signal: AbortSignal): Promise<LinkReport>;
}

export interface NodeLinksDeps {
  /** the newest record */
  readonly findNode: (name: string) => NodeObject | undefined;
  readonly tunnels: TunnelRegistry;
  readonly credentials: Pick<AgentCredentials, 'find'>;
  /** whether a credential may go to this address unencrypted; default: yes */
  readonly mayDialInClear?: (host: string) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** runs a loop until it ends or the server stops */
  readonly spawn: (name: string, loop: (signal: AbortSignal) => Promise<void>) => void;
}

const LOOK_WAIT_MS = 2000; // for who wants to see how it is

interface Way {
  readonly path: 'direct' | 'tunnel';
  readonly remote: Remote;
  readonly credential: string;
}

interface Choice {
  /** one that has just failed */
  readonly avoided?: Way | undefined;
  /** for a tunnel to come back; default: as long as it is worth */
  readonly waitMs?: number | undefined;
}

interface Taking<Result> {
  readonly use: (way: Way) => Promise<Result>;
  readonly waitMs?: number;
}

export function createNodeLinks(deps: NodeLinksDeps): NodeLinks {
  const { findNode, tunnels, credentials, mayDialInClear = () => true, clock } = deps;
  const directWays = new DirectWays({ ...deps, log: deps.log.child({ component: 'node-links' }) });

  function getNode(name: string): NodeObject {
    const node = findNode(name);
    if (node === undefined) {
      directWays.forget(name);
      throw notFound('node', name);
    }
    return node;
  }

  /** The way to take. @throws {ApiError} NodeUnreachable */
  async function choose(name: string, { avoided, waitMs = tunnels.patienceMs(name) }: Choice, signal: AbortSignal): Promise<Way> {
    const node = getNode(name);
    const credential = await credentials.find(node);
    if (credential === undefined) {
      throw describeUnreachable(node, { hasRegistered: false, now: clock.wallMs() });
    }
    const address = addressOf(node);
    const isOpen = address !== undefined && mayDialInClear(address.host);
    const hasTunnel = tunnels.find(name) !== undefined;
    const isTried = isOpen && avoided?.path !== 'direct';
    const direct = isTried ? await directWays.find(name, { address, credential, hasTunnel }, signal) : undefined;
    if (direct !== undefined) {
      return { path: 'direct', remote: direct, credential };
    }
    const tunnel = await tunnels.wait(name, { ms: node.status.state === 'NotReady' ? 0 : waitMs, avoided: avoided?.remote }, signal);
    if (tunnel !== undefined) {
      return { path: 'tunnel', remote: tunnel, credential };
    }
    throw describeUnreachable(node, { hasRegistered: true, now: clock.wallMs(), why: whyNotDirect(name, address), address });
  }

  /** undefined: it is, or nobody has tried */
  function whyNotDirect(name: string, address: AgentAddress | undefined): string | undefined {
    return address === undefined || mayDialInClear(address.host)
      ? directWays.whyNot(name)
      : 'its address is none of an overlay network, so that what is sent there could be read on the way';
  }

  /** Takes a way, and another one where the first does not carry or the credential has just changed. */
  async function take<Result>(name: string, { use, waitMs }: Taking<Result>, signal: AbortSignal): Promise<Result> {
    const way = await choose(name, { waitMs }, signal);
    try {
      return await use(way);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LinkBroken) && !hasReason(error, 'Unauthorized')) {
        throw error;
      }
      const other = await choose(name, { avoided: noteFailure(name, way, error), waitMs }, signal);
      return await takeLast(name, use(other));
    }
  }

  /** @returns the way to avoid from now on */
  function noteFailure(name: string, way: Way, error: Error): Way | undefined {
    if (!(error instanceof LinkBroken)) {
      return undefined;
    }
    if (way.path === 'direct') {
      directWays.noteFailure(name, way.remote, error.message);
    }
    return way;
  }

  async function takeLast<Result>(name: string, result: Promise<Result>): Promise<Result> {
    try {
      return await result;
    } catch (error) {
      if (error instanceof LinkBroken || hasReason(error, 'Unauthorized')) {
        const why = error instanceof LinkBroken ? error.message : 'its agent does not take the credential of this server';
        throw describeUnreachable(getNode(name), { hasRegistered: true, now: clock.wallMs(), why });
      }
      throw error;
    }
  }

  return {
    request: (node, request, signal) =>
      take(node, { use: ({ remote, credential }) => remote.request(request, credential, signal) }, signal),
    open: (node, path, signal) => take(node, { use: ({ remote, credential }) => remote.open(path, credential, signal) }, signal),
    measure: async (node, signal) => {
      const address = addressOf(getNode(node));
      const shown = address === undefined ? {} : { address: formatAddress(address) };
      try {
        const { path, roundTripMs } = await take(
          node,
          {
            use: async (way) => ({ path: way.path, roundTripMs: Math.round((await way.remote.ping(signal)) * 100) / 100 }),
            waitMs: LOOK_WAIT_MS,
          },
          signal,
        );
        const why = whyNotDirect(node, address);
        return { path, roundTripMs, ...shown, ...(why !== undefined && { detail: why }) };
      } catch (error) {
        signal.throwIfAborted();
        if (!hasReason(error, 'NodeUnreachable')) {
          throw error;
        }
        return { path: 'none', ...shown, detail: error.message };
      }
    },
  };
}

function addressOf({ status: { network } }: NodeObject): AgentAddress | undefined {
  return network?.ip === undefined || network.agentPort === undefined ? undefined : { host: network.ip, port: network.agentPort };
}

export function formatAddress({ host, port }: AgentAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
