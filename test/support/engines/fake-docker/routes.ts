/** The fake Docker Engine's answers: from its state to the JSON of API 1.41, for the endpoints that the client uses. */
import type { ServerResponse } from 'node:http';
import {
  Refusal,
  type CreateBody,
  type FakeContainer,
  type FakeDockerState,
  type FakeEndpoint,
  type FakeEvent,
  type FakeNetwork,
} from './state.ts';

export interface FakeRequest {
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly response: ServerResponse;
}

interface FakeAnswer {
  readonly status: number;
  readonly body?: unknown;
}

/** @returns undefined when it has answered by itself, with a stream */
type Handler = (state: FakeDockerState, request: FakeRequest, part: string) => FakeAnswer | undefined;

const ROUTES: readonly (readonly [method: string, path: RegExp, handler: Handler])[] = [
  ['GET', /^\/_ping$/u, () => ({ status: 200, body: 'OK' })],
  ['GET', /^\/info$/u, (state) => ({ status: 200, body: toInfo(state) })],
  ['GET', /^\/events$/u, followEvents],
  ['GET', /^\/containers\/json$/u, listContainers],
  ['POST', /^\/containers\/create$/u, createContainer],
  ['GET', /^\/containers\/([^/]+)\/json$/u, (state, _request, id) => ok(toContainer(state, state.getContainer(id)))],
  ['GET', /^\/containers\/([^/]+)\/logs$/u, followLogs],
  ['GET', /^\/containers\/([^/]+)\/stats$/u, (state, _request, id) => ok(state.readStats(id))],
  ['PUT', /^\/containers\/([^/]+)\/archive$/u, writeFiles],
  ['POST', /^\/containers\/([^/]+)\/start$/u, (state, _request, id) => ({ status: state.startContainer(id) ? 204 : 304 })],
  ['POST', /^\/containers\/([^/]+)\/stop$/u, (state, _request, id) => ({ status: state.stopContainer(id) ? 204 : 304 })],
  ['POST', /^\/containers\/([^/]+)\/restart$/u, (state, _request, id) => done(state.restartContainer(id))],
  ['POST', /^\/containers\/([^/]+)\/kill$/u, (state, _request, id) => done(state.killContainer(id))],
  ['POST', /^\/containers\/([^/]+)\/rename$/u, (state, { query }, id) => done(state.renameContainer(id, query.get('name') ?? ''))],
  ['DELETE', /^\/containers\/([^/]+)$/u, (state, { query }, id) => done(state.removeContainer(id, query.get('force') === 'true'))],
  [
    'GET',
    /^\/networks$/u,
    (state, request) => ok(matching([...state.networks.values()], request).map((network) => toNetwork(state, network))),
  ],
  ['POST', /^\/networks\/create$/u, createNetwork],
  ['GET', /^\/networks\/([^/]+)$/u, (state, _request, id) => ok(toNetwork(state, state.getNetwork(id)))],
  ['POST', /^\/networks\/([^/]+)\/connect$/u, connectNetwork],
  ['POST', /^\/networks\/([^/]+)\/disconnect$/u, disconnectNetwork],
  ['DELETE', /^\/networks\/([^/]+)$/u, (state, _request, id) => done(state.removeNetwork(id))],
  [
    'GET',
    /^\/volumes$/u,
    (state, request) => ok({ Volumes: matching([...state.volumes.values()], request).map(toVolume), Warnings: null }),
  ],
  ['POST', /^\/volumes\/create$/u, createVolume],
  ['GET', /^\/volumes\/([^/]+)$/u, (state, _request, name) => ok(toVolume(state.getVolume(name)))],
  ['DELETE', /^\/volumes\/([^/]+)$/u, (state, _request, name) => done(state.removeVolume(name))],
  ['POST', /^\/images\/create$/u, pullImage],
  ['GET', /^\/images\/json$/u, listImages],
  ['GET', /^\/images\/(.+)\/json$/u, inspectImage],
  ['DELETE', /^\/images\/(.+)$/u, removeImage],
];

/** Carries out one request on the state. @throws {Refusal} */
export function answer(state: FakeDockerState, method: string, path: string, request: FakeRequest): FakeAnswer | undefined {
  for (const [routeMethod, pattern, handler] of ROUTES) {
    const match = routeMethod === method ? pattern.exec(path) : null;
    if (match !== null) {
      return handler(state, request, decodeURIComponent(match[1] ?? ''));
    }
  }
  throw new Refusal(404, 'page not found');
}

function ok(body: unknown): FakeAnswer {
  return { status: 200, body };
}

function done(_result: void): FakeAnswer {
  return { status: 204 };
}

const CPUS = 4;

function createContainer(state: FakeDockerState, { query, body }: FakeRequest): FakeAnswer {
  const { HostConfig: { NanoCpus = 0 } = {} } = body as { readonly HostConfig?: { readonly NanoCpus?: number } };
  if (NanoCpus > CPUS * 1e9) {
    throw new Refusal(400, `Range of CPUs is from 0.01 to ${CPUS}.00, as there are only ${CPUS} CPUs available`);
  }
  const { id } = state.createContainer(query.get('name') ?? '', body as CreateBody);
  return { status: 201, body: { Id: id, Warnings: [] } };
}

function writeFiles(state: FakeDockerState, { query, body }: FakeRequest, reference: string): FakeAnswer {
  const container = state.getContainer(reference);
  if (query.get('path') !== '/' || query.get('noOverwriteDirNonDir') !== 'true') {
    throw new Refusal(400, 'the fake unpacks at / alone, and overwrites no folder');
  }
  if (body instanceof Uint8Array) {
    state.writeFiles(container, Buffer.from(body));
  } // else: as Docker does with any other content type, it says 200 and writes nothing
  return { status: 200 };
}

function listContainers(state: FakeDockerState, request: FakeRequest): FakeAnswer {
  const isAll = request.query.get('all') === 'true';
  const listed = [...state.containers.values()].filter(
    (container) => (isAll || container.status === 'running') && hasLabels(container.body.Labels ?? {}, request),
  );
  const summaries = listed.map(({ id, name, body, imageId, status, createdAtMs }) => ({
    Id: id,
    Names: [`/${name}`],
    Image: body.Image,
    ImageID: imageId,
    State: status,
    Labels: body.Labels ?? {},
    Created: Math.floor(createdAtMs / 1000),
  }));
  return ok(summaries.toReversed()); // newest first
}

function connectNetwork(state: FakeDockerState, { body }: FakeRequest, reference: string): FakeAnswer {
  const { Container, EndpointConfig = {} } = body as { readonly Container: string; readonly EndpointConfig?: FakeEndpoint };
  state.connectNetwork(reference, state.getContainer(Container), EndpointConfig);
  return { status: 200 };
}

function disconnectNetwork(state: FakeDockerState, { body }: FakeRequest, reference: string): FakeAnswer {
  state.disconnectNetwork(reference, state.getContainer((body as { readonly Container: string }).Container));
  return { status: 200 };
}

function createNetwork(state: FakeDockerState, { body }: FakeRequest): FakeAnswer {
  const wish = body as {
    Name: string;
    CheckDuplicate?: boolean;
    Labels?: Record<string, string>;
    IPAM?: { Config?: readonly { Subnet?: string }[] };
  };
  if (wish.CheckDuplicate === true && [...state.networks.values()].some(({ name }) => name === wish.Name)) {
    throw new Refusal(409, `network with name ${wish.Name} already exists`);
  }
  const { id } = state.createNetwork(wish.Name, wish.Labels ?? {}, wish.IPAM?.Config?.[0]?.Subnet);
  return { status: 201, body: { Id: id, Warning: '' } };
}

function createVolume(state: FakeDockerState, { body }: FakeRequest): FakeAnswer {
  const { Name, Labels } = body as { Name: string; Labels?: Record<string, string> };
  return { status: 201, body: toVolume(state.createVolume(Name, Labels ?? {})) };
}

function inspectImage(state: FakeDockerState, _request: FakeRequest, reference: string): FakeAnswer {
  const image = state.images.get(reference) ?? [...state.images.values()].find(({ id }) => id === reference);
  if (/^[^:]*[A-Z]/u.test(reference)) {
    throw new Refusal(400, `no such image: ${reference}: invalid reference format: repository name must be lowercase`);
  }
  if (image === undefined) {
    throw new Refusal(404, `No such image: ${reference}`);
  }
  return ok({ Id: image.id, RepoTags: [reference], RepoDigests: image.repoDigests });
}

function listImages(state: FakeDockerState): FakeAnswer {
  const byId = Map.groupBy(state.images, ([, { id }]) => id);
  const images = [...byId].map(([id, entries]) => {
    const names = entries.map(([reference]) => reference).filter((reference) => !reference.includes('@'));
    return { Id: id, RepoTags: names.length > 0 ? names : null, RepoDigests: entries[0]?.[1].repoDigests ?? [], Size: 1024 };
  });
  return ok(images);
}

function removeImage(state: FakeDockerState, _request: FakeRequest, reference: string): FakeAnswer {
  const names = [...state.images].filter(([name, { id }]) => name === reference || id === reference);
  const id = names[0]?.[1].id;
  if (id === undefined) {
    throw new Refusal(404, `No such image: ${reference}`);
  }
  const isLastName = names.length === [...state.images.values()].filter((image) => image.id === id).length;
  if (isLastName && [...state.containers.values()].some(({ imageId }) => imageId === id)) {
    throw new Refusal(409, `conflict: unable to remove repository reference "${reference}" (must force) - container is using its image`);
  }
  names.forEach(([name]) => state.images.delete(name));
  return ok(names.map(([name]) => ({ Untagged: name })));
}

function pullImage(state: FakeDockerState, { query, response }: FakeRequest): undefined {
  const [name, tag] = [query.get('fromImage') ?? '', query.get('tag') ?? ''];
  const reference = `${name}${tag.startsWith('sha256:') ? '@' : ':'}${tag}`;
  const found = state.registry.get(reference);
  if (found === undefined) {
    const why = "repository does not exist or may require 'docker login': denied: requested access to the resource is denied";
    throw new Refusal(404, `pull access denied for ${name}, ${why}`);
  }
  const lines: object[] = [
    { status: `Pulling from ${name}`, id: tag },
    { status: 'Pulling fs layer', progressDetail: {}, id: 'a1' },
    { status: 'Downloading', progressDetail: { current: 512, total: 1024 }, id: 'a1' },
  ];
  if (typeof found === 'string') {
    lines.push({ errorDetail: { message: found }, error: found });
  } else {
    lines.push({ status: 'Pull complete', progressDetail: {}, id: 'a1' }, { status: `Status: Downloaded newer image for ${reference}` });
    state.images.set(reference, found);
    state.emit('image', 'pull', { ID: reference, Attributes: { name } });
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(lines.map((line) => `${JSON.stringify(line)}\r\n`).join(''));
}

function followEvents(state: FakeDockerState, request: FakeRequest): undefined {
  const { query, response } = request;
  const [seconds = '0', fraction = ''] = (query.get('since') ?? '').split('.');
  const sinceNs = query.has('since') ? BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')) : undefined;
  let next = sinceNs === undefined ? state.events.length : 0;
  const { event: actions = [] } = filtersOf(request);
  const isWanted = ({ Action, Actor, timeNs }: FakeEvent): boolean =>
    timeNs >= (sinceNs ?? 0n) &&
    (actions.length === 0 || actions.includes(Action) || actions.includes(Action.split(':')[0] ?? '')) &&
    hasLabels(Actor.Attributes, request);
  const flush = (): void => {
    for (const event of state.events.slice(next)) {
      if (isWanted(event)) {
        response.write(`${toEventLine(event)}\n`);
      }
    }
    next = state.events.length;
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  flush();
  response.on('close', state.onChange(flush));
}

function followLogs(state: FakeDockerState, { query, response }: FakeRequest, reference: string): undefined {
  const container = state.getContainer(reference);
  const isFollowed = query.get('follow') === 'true';
  const sinceMs = Number(query.get('since') ?? 0) * 1000;
  const tail = query.get('tail') ?? 'all';
  const untilMs = Number(query.get('until') ?? Infinity) * 1000;
  const kept = container.log.filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs);
  const queue = tail === 'all' ? [...kept] : kept.slice(Math.max(0, kept.length - Number(tail)));
  let next = container.log.length;
  let sent = 0;
  /** As Docker does, no faster than it is taken. */
  const send = (): void => {
    queue.push(...container.log.slice(next));
    next = container.log.length;
    for (let line = queue[sent]; line !== undefined && !response.writableNeedDrain; line = queue[sent]) {
      const text = query.get('timestamps') === 'true' ? `${toLogTime(line.atMs)} ${line.text}` : line.text;
      response.write(container.body.Tty === true ? text : toFrame(line.stream, text));
      sent += 1;
    }
    if (sent === queue.length && (container.status !== 'running' || !isFollowed)) {
      response.end();
    }
  };
  const untaken = (): number => queue.length - sent;
  if (isFollowed) {
    state.followedLogs.add(untaken);
  }
  response.writeHead(200);
  response.flushHeaders();
  response.on('drain', send);
  response.on('close', state.onChange(send));
  response.on('close', () => state.followedLogs.delete(untaken));
  send();
}

/** Docker's form, which has nine digits. */
function toLogTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000000Z');
}

function toFrame(stream: 'stdout' | 'stderr', text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.from([stream === 'stdout' ? 1 : 2, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

function toEventLine({ Type, Action, Actor, timeNs }: FakeEvent): string {
  const json = JSON.stringify({ Type, Action, Actor, scope: 'local', time: Number(timeNs / 1_000_000_000n) });
  return `${json.slice(0, -1)},"timeNano":${timeNs}}`; // a number that JSON.stringify could not write
}

function toContainer(state: FakeDockerState, container: FakeContainer): object {
  const { body } = container;
  const mode = body.HostConfig?.NetworkMode ?? 'bridge';
  const network = [...state.networks.values()].find(({ id, name }) => id === mode || name === mode);
  return {
    Id: container.id,
    Name: `/${container.name}`,
    Created: new Date(container.createdAtMs).toISOString(),
    Image: container.imageId,
    RestartCount: 0,
    State: toState(container),
    Config: { ...body, Labels: body.Labels ?? {}, Tty: body.Tty ?? false },
    HostConfig: body.HostConfig ?? {},
    Mounts: (body.HostConfig?.Mounts ?? []).map(({ Type, Source = '', Target, ReadOnly = false }) => ({
      Type,
      ...(Type === 'volume' ? { Name: Source, Source: `/var/lib/docker/volumes/${Source}/_data` } : { Source }),
      Destination: Target,
      RW: !ReadOnly,
    })),
    NetworkSettings: {
      Ports: Object.fromEntries(
        Object.entries(container.ports).map(([key, ports]) => [key, ports.map((port) => ({ HostIp: '0.0.0.0', HostPort: port }))]),
      ),
      Networks: container.endpoint && {
        [network?.name ?? mode]: {
          NetworkID: network?.id ?? '',
          IPAddress: container.status === 'running' ? (container.endpoint.IPAMConfig?.IPv4Address ?? state.containerAddress) : '',
          IPAMConfig: container.endpoint.IPAMConfig ?? null,
          Aliases: container.endpoint.Aliases ?? null,
        },
      },
    },
  };
}

function toState({ status, exitCode, error, health, startedAtMs, finishedAtMs }: FakeContainer): object {
  const toTime = (ms: number | undefined): string => (ms === undefined ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString());
  return {
    Status: status,
    Running: status === 'running',
    OOMKilled: false,
    ExitCode: exitCode,
    Error: error,
    StartedAt: toTime(startedAtMs),
    FinishedAt: toTime(finishedAtMs),
    ...(health !== undefined && { Health: { Status: health, FailingStreak: health === 'unhealthy' ? 3 : 0, Log: [] } }),
  };
}

function toNetwork(state: FakeDockerState, network: FakeNetwork): object {
  const { id, name, labels, subnet } = network;
  const containers = Object.fromEntries(state.attached(network).map((container) => [container.id, { Name: container.name }]));
  return { Id: id, Name: name, Driver: 'bridge', Labels: labels, IPAM: { Config: [{ Subnet: subnet }] }, Containers: containers };
}

function toVolume({ name, labels }: { readonly name: string; readonly labels: Readonly<Record<string, string>> }): object {
  return { Name: name, Driver: 'local', Mountpoint: `/var/lib/docker/volumes/${name}/_data`, Labels: labels };
}

function toInfo({ containers }: FakeDockerState): object {
  return {
    ID: 'FAKE',
    Name: 'fake',
    ServerVersion: '20.10.24-fake',
    OperatingSystem: 'Fake Linux',
    OSType: 'linux',
    Architecture: 'x86_64',
    KernelVersion: '6.1.0',
    NCPU: CPUS,
    MemTotal: 8 * 1024 ** 3,
    DockerRootDir: '/',
    Containers: containers.size,
    ContainersRunning: [...containers.values()].filter(({ status }) => status === 'running').length,
  };
}

function filtersOf({ query }: FakeRequest): { readonly label?: readonly string[]; readonly event?: readonly string[] } {
  return JSON.parse(query.get('filters') ?? '{}') as { label?: string[]; event?: string[] };
}

function hasLabels(labels: Readonly<Record<string, string>>, request: FakeRequest): boolean {
  return (filtersOf(request).label ?? []).every((term) => {
    const [key = '', ...value] = term.split('=');
    return key in labels && (value.length === 0 || labels[key] === value.join('='));
  });
}

function matching<T extends { readonly labels: Readonly<Record<string, string>> }>(items: readonly T[], request: FakeRequest): T[] {
  return items.filter(({ labels }) => hasLabels(labels, request));
}
