/**
 * Overlay network: this node's address, MagicDNS name and path to the server as Tailscale's daemon tells them, with their age.
 *
 * Owns     the latest facts, and when the daemon was last asked.
 * Never    says anything about health, throws, or keeps anyone waiting for longer than the time limit: a daemon that answers nothing
 *          leaves the last facts standing until they are too old. Their absence means that there is no overlay network.
 * Callers  network-monitor.ts reads; composition.ts asks once at start, for the defaults of AGENT_HOST and NODE_IP.
 */
import { lookup as lookUp } from 'node:dns/promises';
import { isIP } from 'node:net';
import { abortable } from '../../base/abortable.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Outage } from '../outage.ts';
import { fetchTailscaleStatus } from './local-api.ts';
import { decodeTailscaleStatus, deriveOverlay, type OverlayNetworkFacts, type ServerPlace } from './tailscale-status.ts';

export const TAILSCALE_SOCKET = '/var/run/tailscale/tailscaled.sock';

const PERIOD_MS = 30_000; // the default heartbeat interval: asking more often would tell nobody anything
const TIME_LIMIT_MS = 2000; // a healthy daemon answers in milliseconds
const KEEP_MS = 600_000; // a restart or an upgrade of the daemon takes less, and the address stays the same through it
const START_WAIT_MS = 5000; // at boot the daemon needs a few seconds; a machine without network must not hold up its containers for longer
const START_RETRY_MS = 250;

export interface OverlayFacts extends OverlayNetworkFacts {
  /** since the daemon said so, in milliseconds; at most ten minutes */
  readonly ageMs: number;
}

export interface OverlayNetwork {
  /** Asks the daemon if it was not asked within the last 30 s. Resolves within 2 s, also when aborted; undefined: there is no overlay network. */
  read(signal: AbortSignal): Promise<OverlayFacts | undefined>;
  /** As `read`, but waits up to 5 s for a daemon that is starting. Once, when the agent starts. @throws the signal's reason */
  readAtStart(signal: AbortSignal): Promise<OverlayFacts | undefined>;
}

/** The addresses of a host name. */
export type LookUp = (hostname: string) => Promise<readonly string[]>;

/** The status of Tailscale's daemon, parsed. */
export type FetchTailscaleStatus = typeof fetchTailscaleStatus;

export interface OverlayNetworkOptions {
  readonly socketPath: string;
  readonly serverUrl: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** default: over its socket */
  readonly fetchStatus?: FetchTailscaleStatus;
  /** default: what the system's resolver says */
  readonly lookUp?: LookUp;
}

/** `absent`: no daemon has ever answered. `out`: it runs, but this machine is not in the network. */
type Standing = 'absent' | 'out' | 'in' | 'failing';

export function createOverlayNetwork(options: OverlayNetworkOptions): OverlayNetwork {
  const { clock, log } = options;
  const outage = new Outage(log, clock, 'overlay network');
  let latest: { readonly facts: OverlayNetworkFacts; readonly atMs: number } | undefined;
  let askedAtMs = -Infinity;
  let asking: Promise<void> | undefined;
  let standing: Standing = 'absent';
  /** as the daemon calls it; undefined when it did not answer */
  let backendState: string | undefined;

  function current(): OverlayFacts | undefined {
    const ageMs = latest === undefined ? Infinity : clock.monotonicMs() - latest.atMs;
    return latest === undefined || ageMs > KEEP_MS ? undefined : { ...latest.facts, ageMs };
  }

  async function ask(signal: AbortSignal): Promise<void> {
    askedAtMs = clock.monotonicMs();
    backendState = undefined;
    try {
      using deadline = withDeadline(clock, TIME_LIMIT_MS, signal);
      const [answer, server] = await Promise.all([
        abortable((options.fetchStatus ?? fetchTailscaleStatus)(options.socketPath, deadline.signal), deadline.signal),
        findServerPlace(options, deadline.signal),
      ]);
      const status = decodeTailscaleStatus(answer);
      backendState = status.BackendState;
      const facts = deriveOverlay(status, server);
      outage.recovered();
      tell(facts, status.BackendState);
      latest = facts === undefined ? undefined : { facts, atMs: clock.monotonicMs() };
    } catch (error) {
      const isNoDaemon = standing === 'absent' && isNobodyThere(error);
      if (!isNoDaemon && !signal.aborted) {
        standing = 'failing';
        outage.failed(error);
      }
    }
  }

  /** One line for each change. */
  function tell(facts: OverlayNetworkFacts | undefined, state: string): void {
    const before = latest?.facts.network;
    if (facts === undefined) {
      if (standing !== 'out') {
        log.info({ backendState: state }, 'overlay network not in use');
      }
      standing = 'out';
      return;
    }
    const { ip, dnsName, mode } = facts.network;
    if (ip !== before?.ip || dnsName !== before.dnsName) {
      log.info({ ip, dnsName, mode }, 'overlay network in use');
    } else if (mode !== before.mode) {
      log.info({ from: before.mode, to: mode }, 'path to the server changed');
    }
    standing = 'in';
  }

  const askOnce = async (signal: AbortSignal): Promise<void> => {
    asking ??= ask(signal).finally(() => (asking = undefined));
    await asking;
  };

  return {
    read: async (signal) => {
      if (asking !== undefined || clock.monotonicMs() - askedAtMs >= PERIOD_MS) {
        await askOnce(signal);
      }
      return current();
    },
    readAtStart: async (signal) => {
      const endMs = clock.monotonicMs() + START_WAIT_MS;
      for (;;) {
        await askOnce(signal);
        const isStarting = backendState === 'NoState' || backendState === 'Starting';
        if (!isStarting || clock.monotonicMs() + START_RETRY_MS > endMs) {
          return current();
        }
        await clock.sleep(START_RETRY_MS, signal);
      }
    },
  };
}

/** The default of AGENT_HOST. */
export function defaultAgentHost(facts: OverlayFacts | undefined): string {
  return facts?.hasInterface === true ? facts.network.ip : '127.0.0.1';
}

/** Never throws: without addresses the name itself has to do. */
async function findServerPlace(
  { serverUrl, lookUp: find = systemLookUp }: OverlayNetworkOptions,
  signal: AbortSignal,
): Promise<ServerPlace> {
  const hostname = new URL(serverUrl).hostname.replaceAll(/[[\]]/gu, '').toLowerCase();
  if (isIP(hostname) !== 0) {
    return { hostname, addresses: [hostname] };
  }
  try {
    return { hostname, addresses: await abortable(find(hostname), signal) };
  } catch {
    return { hostname, addresses: undefined };
  }
}

async function systemLookUp(hostname: string): Promise<readonly string[]> {
  return (await lookUp(hostname, { all: true })).map(({ address }) => address);
}

/** Whether there is no socket, or nobody behind it: then Tailscale is not installed, or switched off. */
function isNobodyThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(String(error.code));
}
