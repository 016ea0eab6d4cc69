/**
 * Network monitor: how this node is reported in the network, looked up again every 30 s: machines move.
 *
 * Owns     the latest address, and the overlay network's name and path where there is one.
 * Never    decides about health: what is not known is left out.
 * Callers  each heartbeat reads `latest` (compose/link.ts); composition.ts runs the loop.
 */
import type { NetworkStatus } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { OverlayNetwork } from './overlay-network.ts';

const PERIOD_MS = 30_000; // as often as the overlay's daemon is asked
const PERIOD_UNKNOWN_MS = 5000;

/** Finds this node's own address, seen from the server. */
export type FindAddress = (serverUrl: string) => Promise<string>;

export interface NetworkMonitor {
  latest(): NetworkStatus;
  run(signal: AbortSignal): Promise<void>;
}

export interface NetworkMonitorOptions {
  readonly serverUrl: string;
  /** as configured: then no other address is told */
  readonly nodeIp: string | undefined;
  readonly overlay: Pick<OverlayNetwork, 'read'>;
  /** asked where there is no overlay network */
  readonly findAddress: FindAddress;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createNetworkMonitor(options: NetworkMonitorOptions): NetworkMonitor {
  const { serverUrl, nodeIp, overlay, findAddress, onChange, clock, log } = options;
  let latest: NetworkStatus = nodeIp === undefined ? {} : { ip: nodeIp };

  async function look(signal: AbortSignal): Promise<void> {
    const facts = await overlay.read(signal);
    const ip = nodeIp ?? facts?.network.ip ?? (await findRoute());
    const next: NetworkStatus = { ...facts?.network, ...(ip !== undefined && { ip }) };
    if (next.ip !== latest.ip) {
      log.info({ from: latest.ip, to: next.ip }, 'node address changed');
    }
    const isChanged = next.ip !== latest.ip || next.dnsName !== latest.dnsName || next.mode !== latest.mode;
    latest = next;
    if (isChanged) {
      onChange();
    }
  }

  /** The last address where none can be found. */
  async function findRoute(): Promise<string | undefined> {
    try {
      return await findAddress(serverUrl);
    } catch (error) {
      log.debug({ detail: String(error) }, 'node address cannot be found'); // registration and heartbeats tell when the server is away
      return latest.ip;
    }
  }

  return {
    latest: () => latest,
    run: async (signal) => {
      for (;;) {
        await look(signal);
        await clock.sleep(latest.ip === undefined ? PERIOD_UNKNOWN_MS : PERIOD_MS, signal);
      }
    },
  };
}
