/** `GET /api/v1/forward/{project}/{service}/{port}`: one TCP connection into a service's container. */
import { ApiError } from '../../api/errors.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { networkName } from '../docker/names.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { join } from '../../base/join.ts';
import type { Route } from './route.ts';
import { getRunningContainer, serviceOf, type ContainerSources, type ServiceName } from './service-container.ts';
import type { Socket } from 'node:net';

const CONNECT_MS = 5000; // a container on this machine answers, or refuses, at once

export interface ForwardSources extends ContainerSources {
  readonly clock: Clock;
}

export function forwardRoute(sources: ForwardSources): Route {
  return {
    kind: 'stream',
    path: /^\/api\/v1\/forward\/(?<project>[^/]+)\/(?<service>[^/]+)\/(?<port>[^/]+)$/u,
    open: async ({ params, signal }) => {
      const name = serviceOf(params);
      const port = readPort(params['port'] ?? '');
      const detail = await getRunningContainer(sources, { ...name, action: `connect to port ${port} of` }, signal);
      const socket = await connect({ host: addressOf(detail, name, port), port, name }, sources.clock, signal);
      return async (stream, ended) => await join({ left: stream, right: socket }, ended);
    },
  };
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new ApiError('Invalid', `Cannot connect as the port must be a number from 1 to 65535: current value is ${JSON.stringify(text)}`);
  }
  return port;
}

function addressOf({ networks }: ContainerDetail, name: ServiceName, port: number): string {
  const own = networks[networkName(name.project)]?.ipAddress;
  const address = [own, ...Object.values(networks).map(({ ipAddress }) => ipAddress)].find((candidate) => candidate);
  if (address === undefined) {
    throw new ApiError('NotRunning', `Cannot connect to port ${port} of ${name.project}/${name.service} as its container has no address`);
  }
  return address;
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly name: ServiceName;
}

/** @throws {ApiError} NotListening */
async function connect({ host, port, name }: Target, clock: Clock, signal: AbortSignal): Promise<Socket> {
  using deadline = withDeadline(clock, CONNECT_MS, signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = process.getBuiltinModule('node:net').connect({ host, port, allowHalfOpen: true, noDelay: true });
  const onAbort = (): void => reject(deadline.signal.reason as Error);
  socket.once('connect', resolve);
  socket.once('error', reject);
  deadline.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
    socket.on('error', () => socket.destroy()); // cut: whoever joins it learns by its end
    return socket;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
    const why =
      code === 'ECONNREFUSED' ? 'nothing listens on it in the container' : `the container does not answer (${code ?? 'timed out'})`;
    throw new ApiError('NotListening', `Cannot connect to port ${port} of ${name.project}/${name.service} as ${why}`, { cause });
  } finally {
    socket.off('error', reject);
    deadline.signal.removeEventListener('abort', onAbort);
  }
}
