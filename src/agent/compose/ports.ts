/** What the agent is put together from: its ports, and what each part of it takes. Callers: ../composition.ts and its parts beside this file. */
import type { BootClock } from '../../base/boot-clock.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Stopper } from '../../base/stopper.ts';
import { VERSION } from '../../base/version.ts';
import { createCaraClient, type CaraClient } from '../../client/cara-client.ts';
import { httpFetch } from '../../client/http-fetch.ts';
import { createTransport, type FetchFunction, type Transport } from '../../client/transport.ts';
import type { Trust } from '../../client/trust.ts';
import type { AgentConfig } from '../config.ts';
import type { Engine } from '../docker/engine.ts';
import type { FenceGuard } from '../fence/guard-process.ts';
import type { HostProbe } from '../host/host-probe.ts';
import type { FindAddress } from '../host/network-monitor.ts';
import type { FetchTailscaleStatus } from '../host/overlay-network.ts';
import type { startAgentServer } from '../http/agent-server.ts';
import type { Identity } from '../identity.ts';
import type { KeptLogs } from '../logs/kept-logs.ts';
import { createTunnelDialer } from '../session/dial-tunnel.ts';
import type { DialTunnel } from '../session/tunnel.ts';

export interface AgentPorts {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** without it, the one that DOCKER_HOST names; ended with the agent */
  readonly engine?: Engine;
  /** the network to the server */
  readonly fetch?: FetchFunction;
  /** opens the tunnel to the server; without it a real one, or none where `fetch` is replaced */
  readonly dialTunnel?: DialTunnel;
  /** of the agent's own HTTP server; without it, a real one on AGENT_PORT */
  readonly listen?: typeof startAgentServer;
  /** where the agent's files are kept */
  readonly disk?: Disk;
  readonly hostProbe?: HostProbe;
  readonly fetchTailscaleStatus?: FetchTailscaleStatus;
  /** the machine's routes, as CIDR blocks */
  readonly readRoutes?: () => Promise<readonly string[]>;
  readonly findAddress?: FindAddress;
  readonly bootClock?: BootClock;
  /** without it, a process of its own */
  readonly fenceGuard?: FenceGuard;
  /** how long something of ours stands unassigned before it is removed, in milliseconds; default 3 min */
  readonly orphanAfterMs?: number;
}

export interface Parts extends AgentPorts {
  readonly engine: Engine;
  readonly disk: Disk;
  readonly identity: Identity;
  readonly stopper: Stopper;
  /** what removed containers wrote last; undefined: on a disk that is none, nothing is kept */
  readonly keptLogs: KeptLogs | undefined;
}

/** The API, as this agent calls it. */
export function connect(parts: AgentPorts, timeoutMs?: number): CaraClient {
  return createCaraClient(openTransport(parts, timeoutMs));
}

export function openTransport({ config, clock, random, fetch }: AgentPorts, timeoutMs?: number): Transport {
  return createTransport({
    serverUrl: config.SERVER_URL,
    userAgent: `cara-agent/${VERSION}`,
    clock,
    random,
    ...(timeoutMs !== undefined && { timeoutMs }),
    fetch: fetch ?? httpFetch,
  });
}

/** How the tunnel is opened; undefined where there is none. `token`: what the server has to be shown; undefined: it asks for nothing */
export function tunnelDialer(
  { config, clock, fetch, dialTunnel }: AgentPorts,
  { token, trust }: { readonly token: () => string | undefined; readonly trust: Trust },
): DialTunnel | undefined {
  if (dialTunnel !== undefined || fetch !== undefined) {
    return dialTunnel;
  }
  return createTunnelDialer({
    serverUrl: config.SERVER_URL,
    nodeName: config.NODE_NAME,
    userAgent: `cara-agent/${VERSION}`,
    token,
    trust,
    clock,
  });
}

/** What every part with a loop takes. */
export function timed({ clock, random, log }: AgentPorts, component: string) {
  return { clock, random, log: log.child({ component }) };
}
