/** The engine's networks and volumes: what Engine promises of them, over HTTP. */
import { toEndpoint } from './container-request.ts';
import { decodeList, decodeNetwork, decodeVolume } from './docker-wire.ts';
import type { DockerTransport } from './docker-transport.ts';
import type { Engine } from './engine.ts';
import { labelTerms, toFilters } from './filters.ts';

type NetworkCalls = Pick<
  Engine,
  'listNetworks' | 'inspectNetwork' | 'createNetwork' | 'removeNetwork' | 'connectNetwork' | 'disconnectNetwork'
>;

export function createNetworkCalls(transport: DockerTransport): NetworkCalls {
  return {
    listNetworks: async ({ labels }, signal) => {
      const { body } = await transport.request(
        { method: 'GET', path: '/networks', query: { filters: toFilters({ label: labelTerms(labels) }) }, action: 'list networks' },
        signal,
      );
      return decodeList(body, decodeNetwork);
    },

    inspectNetwork: async (idOrName, signal) => {
      const { status, body } = await transport.request(
        { method: 'GET', path: networkPath(idOrName), action: `inspect network "${idOrName}"`, accept: [404] },
        signal,
      );
      return status === 404 ? undefined : decodeNetwork(body);
    },

    createNetwork: async (name, { labels, subnet }, signal) => {
      const { body } = await transport.request(
        {
          method: 'POST',
          path: '/networks/create',
          body: {
            Name: name,
            Driver: 'bridge',
            CheckDuplicate: true, // before API 1.44 the engine lets two networks share a name without it
            Labels: labels,
            IPAM: subnet === undefined ? undefined : { Config: [{ Subnet: subnet }] },
          },
          action: `create network "${name}"`,
          byStatus: { 409: 'NameConflict' },
          byWords: ['SubnetTaken'],
        },
        signal,
      );
      return (body as { readonly Id: string }).Id;
    },

    removeNetwork: async (idOrName, signal) => {
      await transport.request(
        { method: 'DELETE', path: networkPath(idOrName), action: `remove network "${idOrName}"`, accept: [404] },
        signal,
      );
    },

    connectNetwork: async (networkId, { containerId, ...endpoint }, signal) => {
      await transport.request(
        {
          method: 'POST',
          path: `${networkPath(networkId)}/connect`,
          body: { Container: containerId, EndpointConfig: toEndpoint(endpoint) },
          action: `connect container "${containerId}" to network "${networkId}"`,
        },
        signal,
      );
    },

    disconnectNetwork: async (networkId, containerId, signal) => {
      await transport.request(
        {
          method: 'POST',
          path: `${networkPath(networkId)}/disconnect`,
          body: { Container: containerId },
          action: `disconnect container "${containerId}" from network "${networkId}"`,
          accept: [404], // network or container is gone
        },
        signal,
      );
    },
  };
}

type VolumeCalls = Pick<Engine, 'listVolumes' | 'inspectVolume' | 'createVolume' | 'removeVolume'>;

export function createVolumeCalls(transport: DockerTransport): VolumeCalls {
  return {
    listVolumes: async ({ labels }, signal) => {
      const { body } = await transport.request(
        { method: 'GET', path: '/volumes', query: { filters: toFilters({ label: labelTerms(labels) }) }, action: 'list volumes' },
        signal,
      );
      return decodeList((body as { readonly Volumes?: unknown }).Volumes, decodeVolume);
    },

    inspectVolume: async (name, signal) => {
      const { status, body } = await transport.request(
        { method: 'GET', path: volumePath(name), action: `inspect volume "${name}"`, accept: [404] },
        signal,
      );
      return status === 404 ? undefined : decodeVolume(body);
    },

    createVolume: async (name, labels, signal) => {
      const { body } = await transport.request(
        {
          method: 'POST',
          path: '/volumes/create',
          body: { Name: name, Labels: labels },
          action: `create volume "${name}"`,
          byWords: ['NoSpace'],
        },
        signal,
      );
      return decodeVolume(body);
    },

    removeVolume: async (name, signal) => {
      await transport.request({ method: 'DELETE', path: volumePath(name), action: `remove volume "${name}"`, accept: [404] }, signal);
    },
  };
}

function networkPath(idOrName: string): string {
  return `/networks/${encodeURIComponent(idOrName)}`;
}

function volumePath(name: string): string {
  return `/volumes/${encodeURIComponent(name)}`;
}
