/** Opens the tunnel's WebSocket to the server. */
import { hasReason } from '../../api/errors.ts';
import { AGENT_CREDENTIAL_HEADER } from '../../api/headers.ts';
import type { Clock } from '../../base/clock.ts';
import { TUNNEL_PATH } from '../../base/tunnel-settings.ts';
import { ServerChoice } from '../../client/server-choice.ts';
import type { Trust } from '../../client/trust.ts';
import { openWebSocket } from '../../client/web-socket-link.ts';
import type { DialTunnel } from './tunnel.ts';

const TIMEOUT_MS = 10_000;

export interface DialOptions {
  /** one URL, or several apart by commas */
  readonly serverUrl: string;
  readonly nodeName: string;
  readonly userAgent: string;
  /** undefined: the server asks for none; may throw an ApiError */
  readonly token?: () => string | undefined;
  /** whether what answers is the server; default: what Node believes */
  readonly trust?: Trust;
  readonly clock: Clock;
}

export function createTunnelDialer({ serverUrl: serverUrls, nodeName, userAgent, token, trust, clock }: DialOptions): DialTunnel {
  const servers = new ServerChoice(serverUrls);
  return async ({ credential, onHeard }, signal) => {
    const serverUrl = servers.current;
    const path = `/api/v1/nodes/${encodeURIComponent(nodeName)}/${TUNNEL_PATH}`;
    const bearer = token?.();
    const headers = {
      'user-agent': userAgent,
      [AGENT_CREDENTIAL_HEADER]: credential,
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    };
    try {
      const call = { serverUrl, path, headers, timeoutMs: TIMEOUT_MS, action: 'open the tunnel', onHeard, endsWhole: true, trust, clock };
      return await openWebSocket(call, signal);
    } catch (error) {
      if (hasReason(error, 'Unavailable')) {
        servers.moveOn(serverUrl);
      }
      throw error;
    }
  };
}
