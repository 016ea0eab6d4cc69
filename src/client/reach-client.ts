/** Reaching into services, as functions. */
import type { WebSocketStream } from '../base/web-socket.ts';
import type { Transport } from './transport.ts';

export interface ServiceRef {
  readonly project: string;
  readonly service: string;
}

export interface ReachClient {
  /**
   * Opens a TCP connection to a port of a service: its bytes both ways, each direction ending by itself.
   * @throws {ApiError} NotRunning, NotListening, NodeUnreachable, NotFound, TooManyRequests, Unavailable
   */
  connect(service: ServiceRef, port: number, signal: AbortSignal): Promise<WebSocketStream>;
}

export function createReachClient(transport: Transport): ReachClient {
  const pathOf = ({ project, service }: ServiceRef): string =>
    `/api/v1/projects/${encodeURIComponent(project)}/services/${encodeURIComponent(service)}`;
  return {
    connect: (ref, port, signal) =>
      transport.open(
        { path: `${pathOf(ref)}/portforward?port=${port}`, action: `connect to port ${port} of ${ref.project}/${ref.service}` },
        signal,
      ),
  };
}
