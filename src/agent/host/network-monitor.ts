/**
 * Network monitor: under which address this node is reported, looked up again every minute: machines move.
 *
 * Owns     the latest address.
 * Never    decides about health: what is not known is left out.
 * Callers  session/heartbeat-body.ts reads `latest`; main.ts runs the loop.
 */
import type { NetworkStatus } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';

const PERIOD_MS = 60_000;
const PERIOD_UNKNOWN_MS = 5000;

/** Finds this node's own address, seen from the server. */
export type FindAddress = (serverUrl: string) => Promise<string>;

export interface NetworkMonitor {
  latest(): NetworkStatus;
  run(signal: AbortSignal): Promise<void>;
}

export interface NetworkMonitorOptions {
  readonly serverUrl: string;
  /** as configured; then nothing is looked up */
  readonly nodeIp: string | undefined;
  readonly findAddress: FindAddress;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createNetworkMonitor(options: NetworkMonitorOptions): NetworkMonitor {
  const { serverUrl, nodeIp, findAddress, onChange, clock, log } = options;
  let ip = nodeIp;

  async function look(): Promise<void> {
    try {
      const found = await findAddress(serverUrl);
      if (found !== ip) {
        log.info({ from: ip, to: found }, 'node address changed');
        ip = found;
        onChange();
      }
    } catch (error) {
      log.debug({ detail: String(error) }, 'node address cannot be found'); // registration and heartbeats tell when the server is away
    }
  }

  return {
    latest: () => (ip === undefined ? {} : { ip }),
    run: async (signal) => {
      while (nodeIp === undefined) {
        await look();
        await clock.sleep(ip === undefined ? PERIOD_UNKNOWN_MS : PERIOD_MS, signal);
      }
    },
  };
}
