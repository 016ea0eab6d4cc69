/** Says why a node's agent cannot be reached, since when, and what would help; pure. Callers: node-links.ts */
import { ApiError } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { AgentAddress } from './direct-link.ts';

export interface Unreachable {
  /** whether its agent has a credential of this server */
  readonly hasRegistered: boolean;
  /** wall-clock milliseconds */
  readonly now: number;
  /** why the direct way does not carry */
  readonly why?: string | undefined;
  readonly address?: AgentAddress | undefined;
}

export function describeUnreachable({ metadata, status }: NodeObject, { hasRegistered, now, why, address }: Unreachable): ApiError {
  const what = `Cannot reach node ${JSON.stringify(metadata.name)}`;
  if (status.state === 'NotReady') {
    const { lastHeartbeat } = status;
    const since =
      lastHeartbeat === undefined ? 'it has never been heard' : `it is silent since ${lastHeartbeat} (${ageOf(lastHeartbeat, now)})`;
    return unreachable(
      `${what} as it is NotReady, ${since}: its containers may still run; bring the machine, its line or its cara-agent back`,
    );
  }
  if (!hasRegistered) {
    return unreachable(
      `${what} as its agent has never registered with this server, or before it could be reached: restart cara-agent there`,
    );
  }
  const direct = address === undefined ? '' : ` and ${address.host}:${address.port} cannot be dialled (${why ?? 'nothing answers there'})`;
  return unreachable(
    `${what} as its agent keeps no tunnel open${direct}, though it sends heartbeats: the log of cara-agent there says why`,
  );
}

function unreachable(message: string): ApiError {
  return new ApiError('NodeUnreachable', message);
}

function ageOf(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  return seconds < 120
    ? `${seconds} s ago`
    : seconds < 7200
      ? `${Math.floor(seconds / 60)} min ago`
      : `${Math.floor(seconds / 3600)} h ago`;
}
