/** The engine's containers: what Engine promises of them, over HTTP. */
import { toContainerRequest, toWholeSeconds } from './container-request.ts';
import type { DockerTransport } from './docker-transport.ts';
import type { ContainerDetail, ContainerSpec } from './docker-types.ts';
import { decodeContainer, decodeContainerSummary, decodeInfo, decodeList } from './docker-wire.ts';
import { decodeStats } from './docker-stats.ts';
import { labelTerms, toFilters } from './filters.ts';
import { EngineError } from './engine-error.ts';
import type { Engine } from './engine.ts';
import { decodeLogFrames } from './log-frames.ts';
import { toTar } from './tar.ts';

const STOP_MARGIN_MS = 30_000; // after the grace: the kill, and taking down network and mounts

type ContainerCalls = Pick<
  Engine,
  | 'listContainers'
  | 'inspectContainer'
  | 'createContainer'
  | 'writeFiles'
  | 'startContainer'
  | 'stopContainer'
  | 'restartContainer'
  | 'killContainer'
  | 'renameContainer'
  | 'removeContainer'
  | 'containerLogs'
  | 'containerStats'
>;

export function createContainerCalls(transport: DockerTransport): ContainerCalls {
  const inspectContainer = async (idOrName: string, signal: AbortSignal): Promise<ContainerDetail | undefined> => {
    const { status, body } = await transport.request(
      { method: 'GET', path: `${pathOf(idOrName)}/json`, action: `inspect container "${idOrName}"`, accept: [404] },
      signal,
    );
    return status === 404 ? undefined : decodeContainer(body);
  };
  return { inspectContainer, ...createReads(transport, inspectContainer), ...createChanges(transport, inspectContainer) };
}

type Inspect = Engine['inspectContainer'];

function createReads(
  transport: DockerTransport,
  inspect: Inspect,
): Pick<ContainerCalls, 'listContainers' | 'containerLogs' | 'containerStats'> {
  return {
    listContainers: async ({ labels, all }, signal) => {
      const { body } = await transport.request(
        {
          method: 'GET',
          path: '/containers/json',
          query: { all, filters: toFilters({ label: labelTerms(labels) }) },
          action: 'list containers',
        },
        signal,
      );
      return decodeList(body, decodeContainerSummary);
    },

    containerLogs: async (id, { tail, follow = false, since, until, timestamps = false }, signal) => {
      const action = `read the logs of container "${id}"`;
      // Only its configuration tells whether the stream has frames: API 1.41 sends no content type that would.
      const detail = await inspect(id, signal);
      if (detail === undefined) {
        throw new EngineError('NotFound', `Cannot ${action} as there is no such container`);
      }
      const range = { since: since && toSeconds(since), until: until && toSeconds(until), tail: tail ?? 'all' };
      const query = { stdout: true, stderr: true, follow, timestamps, ...range };
      const chunks = await transport.stream({ method: 'GET', path: `${pathOf(detail.id)}/logs`, query, action }, signal);
      return decodeLogFrames(chunks, detail.hasTty);
    },

    containerStats: async (id, signal) => {
      const query = { stream: false, 'one-shot': true }; // else the engine takes two samples, a second apart
      const action = `read what container "${id}" uses`;
      const { status, body } = await transport.request(
        { method: 'GET', path: `${pathOf(id)}/stats`, query, action, accept: [404] },
        signal,
      );
      return status === 404 ? undefined : decodeStats(body);
    },
  };
}

/** Docker refuses a limit of more CPUs than its machine has; here it means what it says: no less than all of them. */
async function withinCpus(transport: DockerTransport, spec: ContainerSpec, signal: AbortSignal): Promise<ContainerSpec> {
  const { cpuLimitMillis = 0 } = spec;
  if (cpuLimitMillis <= 1000) {
    return spec; // every machine has one
  }
  const { body } = await transport.request({ method: 'GET', path: '/info', action: 'ask the container engine for its CPUs' }, signal);
  const { cpus } = decodeInfo(body);
  return cpus > 0 && cpuLimitMillis > cpus * 1000 ? { ...spec, cpuLimitMillis: cpus * 1000 } : spec;
}

type ContainerChanges = Omit<ContainerCalls, 'listContainers' | 'inspectContainer' | 'containerLogs' | 'containerStats'>;

function createChanges(transport: DockerTransport, inspect: Inspect): ContainerChanges {
  return {
    createContainer: async (name, spec, signal) => {
      const { body } = await transport.request(
        {
          method: 'POST',
          path: '/containers/create',
          query: { name },
          body: toContainerRequest(await withinCpus(transport, spec, signal)),
          action: `create container "${name}"`,
          byStatus: { 404: 'ImageNotFound', 409: 'NameConflict' },
          byWords: ['NoSpace'],
        },
        signal,
      );
      return (body as { readonly Id: string }).Id;
    },

    writeFiles: async (id, files, signal) => {
      await transport.request(
        {
          method: 'PUT',
          path: `${pathOf(id)}/archive`,
          query: { path: '/', noOverwriteDirNonDir: true },
          body: toTar(files),
          headers: { 'content-type': 'application/x-tar' }, // with another one the engine says 200 and writes nothing
          action: `write files into container "${id}"`,
          byWords: ['NoSpace', 'Invalid'],
        },
        signal,
      );
    },

    startContainer: async (id, signal) => {
      await transport.request(
        // 304: runs already
        {
          method: 'POST',
          path: `${pathOf(id)}/start`,
          action: `start container "${id}"`,
          byWords: ['PortInUse', 'NoSpace', 'TaskLeftOver', 'Invalid'],
        },
        signal,
      );
    },

    stopContainer: async (id, graceMs, signal) => {
      const t = toWholeSeconds(graceMs);
      const timeoutMs = t * 1000 + STOP_MARGIN_MS;
      await transport.request(
        // 304: stopped already; 404: gone
        { method: 'POST', path: `${pathOf(id)}/stop`, query: { t }, action: `stop container "${id}"`, timeoutMs, accept: [404] },
        signal,
      );
    },

    restartContainer: async (id, graceMs, signal) => {
      const t = toWholeSeconds(graceMs);
      const timeoutMs = t * 1000 + STOP_MARGIN_MS;
      await transport.request(
        {
          method: 'POST',
          path: `${pathOf(id)}/restart`,
          query: { t },
          action: `restart container "${id}"`,
          timeoutMs,
          byWords: ['PortInUse', 'NoSpace', 'TaskLeftOver', 'Invalid'],
        },
        signal,
      );
    },

    killContainer: async (id, signal) => {
      await transport.request(
        // 409: does not run; 404: gone
        { method: 'POST', path: `${pathOf(id)}/kill`, action: `kill container "${id}"`, accept: [404, 409] },
        signal,
      );
    },

    renameContainer: async (id, name, signal) => {
      const action = `rename container "${id}" to "${name}"`;
      await transport.request(
        { method: 'POST', path: `${pathOf(id)}/rename`, query: { name }, action, byStatus: { 409: 'NameConflict' } },
        signal,
      );
    },

    removeContainer: async (id, { force, removeAnonymousVolumes }, signal) => {
      const action = `remove container "${id}"`;
      const call = { method: 'DELETE', path: pathOf(id), query: { force, v: removeAnonymousVolumes }, action } as const;
      const { status, body } = await transport.request({ ...call, accept: [404, 409] }, signal);
      // 409 says that it runs, or that it is being removed by someone else; only the container tells which.
      if (status === 409) {
        const detail = await inspect(id, signal);
        if (detail?.state.isRunning === true && detail.state.status !== 'removing') {
          throw new EngineError('Conflict', `Cannot ${action}: ${String(body).trim()}`);
        }
      }
    },
  };
}

/** An RFC 3339 time in UTC as `seconds.nanoseconds`. */
function toSeconds(time: string): string {
  const nanoseconds = /\.(\d{1,9})Z$/u.exec(time)?.[1] ?? '';
  return `${Math.floor(Date.parse(time) / 1000)}.${nanoseconds.padEnd(9, '0')}`;
}

function pathOf(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}
