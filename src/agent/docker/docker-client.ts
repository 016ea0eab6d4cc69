/**
 * The real container engine: a thin client of the Docker Engine API over node:http.
 *
 * Owns     nothing but its transport. Never caches what the engine holds: callers look before they act.
 * Callers  agent/main.ts constructs it; reconciler, heartbeater and the agent's HTTP handlers use it as `Engine`.
 * Source   Docker Engine API v1.41 (https://docs.docker.com/engine/api/v1.41/).
 */
import type { Clock } from '../../base/clock.ts';
import { createContainerCalls } from './docker-containers.ts';
import { createExecCalls } from './docker-exec.ts';
import { parseDockerHost } from './docker-host.ts';
import { createImageCalls } from './docker-images.ts';
import { createNetworkCalls, createVolumeCalls } from './docker-networks.ts';
import { createDockerTransport, type DockerTransport } from './docker-transport.ts';
import type { EngineEvent } from './docker-types.ts';
import { decodeEvent, decodeInfo, decodeVersion } from './docker-wire.ts';
import type { Engine } from './engine.ts';
import { splitLines } from './split-lines.ts';
import { labelTerms, toFilters } from './filters.ts';

export interface DockerEngineOptions {
  /** As in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host: string;
  readonly clock: Clock;
  /** Speaks this version of the API instead of negotiating one. */
  readonly apiVersion?: string;
}

/**
 * Makes a client; connects at the first call.
 * @throws {RangeError} when `host` is no address that can be used
 */
export function createDockerEngine({ host, clock, apiVersion }: DockerEngineOptions): Engine {
  const address = parseDockerHost(host);
  const transport = createDockerTransport({ address, clock, ...(apiVersion !== undefined && { apiVersion }) });
  return {
    ...createSystemCalls(transport),
    ...createContainerCalls(transport),
    ...createExecCalls(transport),
    ...createNetworkCalls(transport),
    ...createVolumeCalls(transport),
    ...createImageCalls(transport),
    close: () => transport.close(),
  };
}

function createSystemCalls(transport: DockerTransport): Pick<Engine, 'ping' | 'version' | 'info' | 'events'> {
  return {
    ping: async (signal) => {
      await transport.request({ method: 'GET', path: '/_ping', isAlone: true, action: 'ping the container engine' }, signal);
    },

    version: async (signal) => {
      const action = 'ask the container engine for its version';
      const { body } = await transport.request({ method: 'GET', path: '/version', action }, signal);
      return decodeVersion(body);
    },

    info: async (signal) => {
      const { body } = await transport.request({ method: 'GET', path: '/info', action: 'ask the container engine about itself' }, signal);
      return decodeInfo(body);
    },

    events: async ({ labels, actions, sinceNs }, signal) => {
      const query = {
        filters: toFilters({ label: labelTerms(labels), event: actions }),
        since: sinceNs === undefined ? undefined : toSeconds(sinceNs),
      };
      const chunks = await transport.stream(
        { method: 'GET', path: '/events', query, action: 'follow the events of the container engine' },
        signal,
      );
      return decodeEvents(chunks);
    },
  };
}

async function* decodeEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<EngineEvent> {
  for await (const line of splitLines(chunks)) {
    const event = decodeEvent(line);
    if (event !== undefined) {
      yield event;
    }
  }
}

/** `seconds.nanoseconds`, as the engine reads times. */
function toSeconds(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`;
}
