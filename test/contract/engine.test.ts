/** The fake Docker Engine and a real one mean the same to our client. CARA_TEST_ENGINE=unix://... adds the real one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createDockerEngine } from '../../src/agent/docker/docker-client.ts';
import type { ContainerSpec } from '../../src/agent/docker/docker-types.ts';
import { hasEngineReason, type EngineReason } from '../../src/agent/docker/engine-error.ts';
import type { Engine } from '../../src/agent/docker/engine.ts';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { systemClock } from '../../src/base/clock.ts';
import { importBusyboxImage } from '../support/engines/busybox-image.ts';
import { startFakeDocker } from '../support/engines/fake-docker.ts';

type Program = Pick<ContainerSpec, 'image' | 'command'>;

/** An engine, and what to run on it. */
interface Target extends AsyncDisposable {
  readonly host: string;
  readonly sleeps: Program;
  readonly exitsWith3: Program;
  /** Writes `one`, `two`, `three`, a line each, and ends. */
  readonly prints: Program;
  readonly isNoProgram: Program;
}

const IMAGE = 'cara-contract:1';

const SERVICE_OPTIONS: Partial<ContainerSpec> = {
  workingDir: '/bin',
  user: '1000:1000',
  hostname: 'shopfront',
  extraHosts: ['printer:192.168.1.20'],
  capAdd: ['NET_ADMIN'],
  capDrop: ['ALL'],
  isRootReadOnly: true,
  tmpfs: { '/run': { sizeBytes: 65_536, mode: '0700' } },
  shmSizeBytes: 1_048_576,
  ulimits: { nofile: { soft: 100, hard: 200 } },
  sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
  hasInit: true,
  hasTty: true,
  stopSignal: 'SIGINT',
  log: { maxSizeBytes: 65_536, maxFiles: 2 },
};

/** How an engine shows them. */
const SHOWN = {
  Config: { WorkingDir: '/bin', User: '1000:1000', Hostname: 'shopfront', Tty: true, StopSignal: 'SIGINT' },
  HostConfig: {
    ExtraHosts: ['printer:192.168.1.20'],
    CapAdd: ['NET_ADMIN'],
    CapDrop: ['ALL'],
    ReadonlyRootfs: true,
    Tmpfs: { '/run': 'size=65536,mode=0700' },
    ShmSize: 1_048_576,
    Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
    Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
    Init: true,
    LogConfig: { Type: 'json-file', Config: { 'max-size': '65536', 'max-file': '2' } },
  },
};

type Inspected = Readonly<Record<'Config' | 'HostConfig', Readonly<Record<string, unknown>>>>;

/** Docker 20.10 shows `CAP_NET_ADMIN` for `NET_ADMIN`. */
function withBareCapabilities(shown: unknown): unknown {
  return JSON.parse(JSON.stringify(shown).replaceAll('"CAP_', '"')) as unknown;
}

async function startFakeTarget(): Promise<Target> {
  const fake = await startFakeDocker();
  fake.addImage(IMAGE);
  fake.addImage('exits:1', { exitCode: 3 });
  fake.addImage('prints:1', { output: ['one', 'two', 'three'], exitCode: 0 });
  fake.addImage('none:1', { startError: 'OCI runtime create failed: exec: "/none": stat /none: no such file or directory: unknown' });
  return {
    host: fake.host,
    sleeps: { image: IMAGE },
    exitsWith3: { image: 'exits:1' },
    prints: { image: 'prints:1' },
    isNoProgram: { image: 'none:1' },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

async function startRealTarget(host: string): Promise<Target> {
  await importBusyboxImage(host, IMAGE);
  const shell = (line: string): Program => ({ image: IMAGE, command: ['/bin/busybox', 'sh', '-c', line] });
  return {
    host,
    sleeps: { image: IMAGE, command: ['/bin/busybox', 'sleep', '600'] },
    exitsWith3: shell('exit 3'),
    prints: shell('echo one; echo two; echo three'),
    isNoProgram: { image: IMAGE, command: ['/none'] },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const realHost = process.env['CARA_TEST_ENGINE'];
const targets: Readonly<Record<string, () => Promise<Target>>> = {
  'fake engine': startFakeTarget,
  ...(realHost && { 'real engine': () => startRealTarget(realHost) }),
};

for (const [name, start] of Object.entries(targets)) {
  describe(name, { timeout: 60_000 }, () => suite(start));
}

function suite(start: () => Promise<Target>): void {
  const run = randomBytes(4).toString('hex'); // keeps runs on one real engine apart
  const labels = { 'caravanserai.io/cluster': `contract-${run}` };
  const signal = AbortSignal.timeout(55_000);
  let target: Target;
  let engine: Engine;
  let count = 0;

  const nextName = (): string => `cara_contract-${run}_s${(count += 1)}`;
  const create = (spec: ContainerSpec): Promise<string> => engine.createContainer(nextName(), spec, signal);
  const rejects = (promise: Promise<unknown>, reason: EngineReason): Promise<void> =>
    assert.rejects(promise, (error) => hasEngineReason(error, reason) || assert.fail(`${reason} expected: ${String(error)}`));

  before(async () => {
    target = await start();
    engine = createDockerEngine({ host: target.host, clock: systemClock });
  });

  after(async () => {
    for (const { id } of await engine.listContainers({ labels, all: true }, signal)) {
      await engine.removeContainer(id, { force: true, removeAnonymousVolumes: true }, signal);
    }
    for (const { id } of await engine.listNetworks({ labels }, signal)) {
      await engine.removeNetwork(id, signal);
    }
    for (const volume of await engine.listVolumes({ labels }, signal)) {
      await engine.removeVolume(volume.name, signal);
    }
    engine.close();
    await target[Symbol.asyncDispose]();
  });

  it('ping(), version() and info() answer', async () => {
    await engine.ping(signal);
    const version = await engine.version(signal);
    assert.match(version.apiVersion, /^1\.\d+$/u);
    assert.equal(version.os, 'linux');
    const info = await engine.info(signal);
    assert.ok(info.cpus > 0 && info.memoryBytes > 0 && info.dataDir.startsWith('/') && info.serverVersion !== '');
  });

  it('a container is created, found by labels, started twice, stopped twice and removed twice', async () => {
    const name = nextName();
    const id = await engine.createContainer(name, { ...target.sleeps, labels: { ...labels, kind: 'life' } }, signal);
    const listed = await engine.listContainers({ labels: { ...labels, kind: 'life' }, all: true }, signal);
    assert.deepEqual(
      listed.map((container) => [container.id, container.names, container.state, container.labels['kind']]),
      [[id, [name], 'created', 'life']],
    );
    assert.deepEqual(await engine.listContainers({ labels: { ...labels, kind: 'other' }, all: true }, signal), []);

    await engine.startContainer(id, signal);
    await engine.startContainer(id, signal);
    const running = await engine.inspectContainer(name, signal);
    assert.equal(running?.id, id);
    assert.equal(running.name, name);
    assert.equal(running.image, target.sleeps.image);
    assert.equal(running.imageId, (await engine.inspectImage(target.sleeps.image, signal))?.id);
    assert.equal(running.state.status, 'running');
    assert.equal(running.state.health, undefined);
    assert.ok(running.state.startedAt !== undefined && running.state.finishedAt === undefined);

    await engine.restartContainer(id, 0, signal);
    const again = await engine.inspectContainer(id, signal);
    assert.ok(again?.state.isRunning && again.state.startedAt !== running.state.startedAt && again.state.finishedAt !== undefined);

    await engine.stopContainer(id, 0, signal);
    await engine.stopContainer(id, 0, signal);
    await engine.killContainer(id, signal);
    const stopped = await engine.inspectContainer(id, signal);
    assert.equal(stopped?.state.status, 'exited');
    assert.ok(stopped.state.finishedAt !== undefined);

    await engine.removeContainer(id, { force: false, removeAnonymousVolumes: true }, signal);
    await engine.removeContainer(id, { force: false, removeAnonymousVolumes: true }, signal);
    assert.equal(await engine.inspectContainer(id, signal), undefined);
    await engine.stopContainer(id, 0, signal);
    await engine.killContainer(id, signal);
    await rejects(engine.startContainer(id, signal), 'NotFound');
    await rejects(engine.restartContainer(id, 0, signal), 'NotFound');
  });

  it('createContainer() tells a taken name from a missing image and from nonsense', async () => {
    const name = nextName();
    await engine.createContainer(name, { ...target.sleeps, labels }, signal);
    await rejects(engine.createContainer(name, { ...target.sleeps, labels }, signal), 'NameConflict');
    await rejects(create({ image: 'no-such-image:9', command: ['x'], labels }), 'ImageNotFound');
    await rejects(engine.createContainer('-', { ...target.sleeps, labels }, signal), 'Invalid');
  });

  it('createContainer() takes a limit of more CPUs than there are for all of them', async () => {
    const id = await create({ ...target.sleeps, labels, cpuLimitMillis: 1_000_000 });
    const { HostConfig } = (await callEngineJson({ host: target.host, path: `/containers/${id}/json` })) as {
      HostConfig: { NanoCpus: number };
    };
    assert.equal(HostConfig.NanoCpus, (await engine.info(signal)).cpus * 1e9);
  });

  it('createContainer() hands on every option of a service', async () => {
    const id = await create({ ...target.sleeps, labels, ...SERVICE_OPTIONS });
    const { Config, HostConfig } = (await callEngineJson({ host: target.host, path: `/containers/${id}/json` })) as Inspected;
    for (const [shown, expected] of [
      [Config, SHOWN.Config],
      [HostConfig, SHOWN.HostConfig],
    ] as const) {
      const found = Object.fromEntries(Object.keys(expected).map((key) => [key, shown[key]]));
      assert.deepEqual(withBareCapabilities(found), expected);
    }
    await engine.startContainer(id, signal);
    assert.equal((await engine.inspectContainer(id, signal))?.hasTty, true);
  });

  it('createContainer() can make a container privileged', async () => {
    const id = await create({ ...target.sleeps, labels, isPrivileged: true });
    const { HostConfig } = (await callEngineJson({ host: target.host, path: `/containers/${id}/json` })) as Inspected;
    assert.equal(HostConfig['Privileged'], true);
  });

  it('writeFiles() is refused where the root file system is read-only', async () => {
    const id = await create({ ...target.sleeps, labels, isRootReadOnly: true });
    await assert.rejects(engine.writeFiles(id, [{ path: '/etc/a', mode: 0o444, content: Buffer.from('x') }], signal), /read-only/u);
  });

  it('removeContainer() refuses a running container unless forced', async () => {
    const id = await create({ ...target.sleeps, labels });
    await engine.startContainer(id, signal);
    await rejects(engine.removeContainer(id, { force: false, removeAnonymousVolumes: false }, signal), 'Conflict');
    await engine.removeContainer(id, { force: true, removeAnonymousVolumes: false }, signal);
    assert.equal(await engine.inspectContainer(id, signal), undefined);
  });

  it('writeFiles() makes folders, replaces files, and refuses to put one where a folder is', async () => {
    const id = await create({ ...target.sleeps, labels });
    const file = (path: string, mode = 0o444) => ({ path, mode, content: Buffer.from('x') });
    await engine.writeFiles(id, [file('/etc/cara/a'), file(`/var/${'deep/'.repeat(60)}é`, 0o400)], signal);
    await engine.writeFiles(id, [file('/etc/cara/a')], signal);
    await rejects(engine.writeFiles(id, [file('/etc/cara')], signal), 'Invalid');
    await rejects(engine.writeFiles(`${id}0`, [file('/etc/cara/a')], signal), 'NotFound');
    await engine.startContainer(id, signal);
  });

  it('startContainer() tells a taken port, and reports published ones', async () => {
    const port = { containerPort: 80, hostPort: 20_000 + (parseInt(run, 16) % 10_000), protocol: 'TCP' } as const;
    const first = await create({ ...target.sleeps, labels, ports: [port] });
    const second = await create({ ...target.sleeps, labels, ports: [port] });
    await engine.startContainer(first, signal);
    const ports = (await engine.inspectContainer(first, signal))?.ports ?? [];
    assert.ok(
      ports.some(({ containerPort, hostPort, protocol }) => containerPort === 80 && hostPort === port.hostPort && protocol === 'TCP'),
    );
    await rejects(engine.startContainer(second, signal), 'PortInUse');
    const refused = await engine.inspectContainer(second, signal);
    assert.equal(refused?.state.status, 'created');
    assert.match(refused.state.error, /port is already allocated/u);
  });

  it('startContainer() refuses a program that is not there, in the words of the runtime', async () => {
    const id = await create({ ...target.isNoProgram, labels });
    await rejects(engine.startContainer(id, signal), 'Invalid');
    const { state } = (await engine.inspectContainer(id, signal)) ?? assert.fail('no container');
    assert.deepEqual([state.status, state.exitCode, state.startedAt], ['created', 127, undefined]);
  });

  it('inspectContainer() gives the exit code of a run that ended by itself', async () => {
    const events = await engine.events({ labels, actions: ['die'] }, signal);
    const id = await create({ ...target.exitsWith3, labels });
    await engine.startContainer(id, signal);
    await takeUntil(events, (event) => event.id === id);
    const { state } = (await engine.inspectContainer(id, signal)) ?? assert.fail('no container');
    assert.deepEqual([state.status, state.exitCode, state.isOomKilled], ['exited', 3, false]);
  });

  it('a health check goes from starting to healthy, with an event', async () => {
    const events = await engine.events({ labels, actions: ['health_status'] }, signal);
    const id = await create({
      ...target.sleeps,
      labels,
      healthCheck: { test: ['CMD', '/bin/busybox', 'true'], intervalMs: 200, retries: 1 },
    });
    await engine.startContainer(id, signal);
    const seen = await takeUntil(events, ({ id: seenId }) => seenId === id);
    assert.equal(seen.at(-1)?.action, 'health_status: healthy');
    assert.equal((await engine.inspectContainer(id, signal))?.state.health?.status, 'healthy');
  });

  it('networks: a name is given once, a subnet is taken once, removal waits for containers', async () => {
    const name = `cara_net-${run}`;
    const octet = parseInt(run.slice(0, 2), 16);
    const id = await engine.createNetwork(name, { labels, subnet: `10.199.${octet}.0/26` }, signal);
    await rejects(engine.createNetwork(name, { labels }, signal), 'NameConflict');
    await rejects(engine.createNetwork(`${name}-b`, { labels, subnet: `10.199.${octet}.0/27` }, signal), 'SubnetTaken');
    const container = await create({ ...target.sleeps, labels, network: { name, aliases: ['web'] } });
    await engine.startContainer(container, signal);
    const network = await engine.inspectNetwork(name, signal);
    assert.deepEqual(
      [network?.id, network?.labels, network?.subnets, network?.containerIds],
      [id, labels, [`10.199.${octet}.0/26`], [container]],
    );
    assert.deepEqual(
      (await engine.listNetworks({ labels }, signal)).map((found) => found.name),
      [name],
    );
    const detail = await engine.inspectContainer(container, signal);
    assert.deepEqual(Object.keys(detail?.networks ?? {}), [name]);
    assert.equal(detail?.networks[name]?.networkId, id);
    assert.ok(detail.networks[name].aliases.includes('web'));
    await rejects(engine.removeNetwork(name, signal), 'Conflict');
    await engine.removeContainer(container, { force: true, removeAnonymousVolumes: true }, signal);
    await engine.removeNetwork(name, signal);
    await engine.removeNetwork(name, signal);
    assert.equal(await engine.inspectNetwork(name, signal), undefined);
  });

  it('a running container is taken off its network and put back with its address and other names, and is renamed', async () => {
    const name = `cara_contract-${run}-b`;
    const octet = Number.parseInt(run.slice(2, 4), 16);
    const network = await engine.createNetwork(name, { labels, subnet: `10.200.${octet}.0/26` }, signal);
    const address = `10.200.${octet}.60`;
    const id = await create({ ...target.sleeps, labels, network: { name, aliases: [], address } });
    await engine.startContainer(id, signal);
    await engine.disconnectNetwork(network, id, signal);
    assert.deepEqual((await engine.inspectContainer(id, signal))?.networks, {});
    await engine.connectNetwork(network, { containerId: id, aliases: ['web'], address }, signal);
    const endpoint = (await engine.inspectContainer(id, signal))?.networks[name];
    assert.deepEqual([endpoint?.ipAddress, endpoint?.fixedAddress, endpoint?.aliases.includes('web')], [address, address, true]);
    await rejects(engine.connectNetwork(network, { containerId: id, aliases: [] }, signal), 'Conflict');

    const [other, free] = [nextName(), nextName()];
    await engine.createContainer(other, { ...target.sleeps, labels }, signal);
    await rejects(engine.renameContainer(id, other, signal), 'NameConflict');
    await engine.renameContainer(id, free, signal);
    assert.equal((await engine.inspectContainer(free, signal))?.id, id);
    await engine.removeContainer(id, { force: true, removeAnonymousVolumes: true }, signal);
    await engine.disconnectNetwork(network, id, signal);
    await engine.removeNetwork(network, signal);
  });

  it('startContainer() fails with NotFound when its network is gone', async () => {
    const id = await create({ ...target.sleeps, labels, network: { name: `cara_gone-${run}`, aliases: [] } });
    await rejects(engine.startContainer(id, signal), 'NotFound');
  });

  it('volumes: creating twice is one, removal waits for containers', async () => {
    const name = `cara_vol-${run}`;
    const first = await engine.createVolume(name, labels, signal);
    const second = await engine.createVolume(name, { other: 'x' }, signal);
    assert.deepEqual([first.labels, second.labels], [labels, labels]);
    const id = await create({ ...target.sleeps, labels, mounts: [{ type: 'volume', source: name, target: '/data', isReadOnly: true }] });
    const { mounts } = (await engine.inspectContainer(id, signal)) ?? assert.fail('no container');
    assert.deepEqual(mounts, [{ type: 'volume', source: name, target: '/data', isReadOnly: true }]);
    await rejects(engine.removeVolume(name, signal), 'Conflict');
    await engine.removeContainer(id, { force: true, removeAnonymousVolumes: true }, signal);
    assert.deepEqual(
      (await engine.listVolumes({ labels }, signal)).map((volume) => volume.name),
      [name],
    );
    await engine.removeVolume(name, signal);
    await engine.removeVolume(name, signal);
    assert.equal(await engine.inspectVolume(name, signal), undefined);
  });

  it('containerLogs() gives all, the last lines, times, and an end when followed', async () => {
    const id = await create({ ...target.prints, labels });
    await engine.startContainer(id, signal);
    const read = async (options: Parameters<Engine['containerLogs']>[1]): Promise<string> => {
      const frames = (await takeUntil(await engine.containerLogs(id, options, signal), () => false)).flat();
      assert.ok(frames.every(({ stream }) => stream === 'stdout'));
      return Buffer.concat(frames.map(({ bytes }) => bytes)).toString();
    };
    assert.equal(await read({ follow: true }), 'one\ntwo\nthree\n');
    assert.equal(await read({ tail: 1 }), 'three\n');
    assert.match(await read({ tail: 1, timestamps: true }), /^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/u);
    assert.equal(await read({ since: new Date(Date.now() + 60_000).toISOString() }), '');
    await rejects(engine.containerLogs('0123456789ab', {}, signal), 'NotFound');
  });

  it('events() carry labels and times that grow, and replay from a time on', async () => {
    const own = { ...labels, kind: `events-${run}` };
    const events = await engine.events({ labels: own }, signal);
    const id = await create({ ...target.sleeps, labels: own });
    await engine.startContainer(id, signal);
    await engine.removeContainer(id, { force: true, removeAnonymousVolumes: true }, signal);
    const seen = await takeUntil(events, ({ action }) => action === 'destroy');
    const actions = seen.map(({ action }) => action);
    assert.deepEqual(
      actions.filter((action) => action !== 'kill'),
      ['create', 'start', 'die', 'destroy'],
    );
    assert.ok(seen.every((event) => event.type === 'container' && event.id === id && event.attributes['kind'] === own.kind));
    const times = seen.map(({ timeNs }) => timeNs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => Number(a - b)),
    );

    const sinceNs = seen.find(({ action }) => action === 'die')?.timeNs ?? 0n;
    const replayed = await engine.events({ labels: own, sinceNs }, signal);
    const again = await takeUntil(replayed, ({ action }) => action === 'destroy');
    assert.deepEqual(
      again.map(({ action }) => action),
      ['die', 'destroy'],
    );
  });

  it('inspectImage() and pullImage() know what is not there', async () => {
    assert.equal(await engine.inspectImage('no-such-image:9', signal), undefined);
    assert.equal(await engine.inspectImage('No/Such-Image:9', signal), undefined, 'a name that no image can have');
    assert.match((await engine.inspectImage(target.sleeps.image, signal))?.id ?? '', /^sha256:[0-9a-f]{64}$/u);
    await assert.rejects(engine.pullImage('registry.invalid/x:1', {}, signal), (error) =>
      hasEngineReason(error, 'PullFailed', 'PullDenied'),
    );
  });

  it('listImages() has the image, and removeImage() leaves one that a container is made of', async () => {
    const { id = '' } = (await engine.inspectImage(target.sleeps.image, signal)) ?? {};
    const listed = (await engine.listImages(signal)).find((image) => image.id === id);
    assert.equal(listed?.repoTags.includes(target.sleeps.image), true);
    assert.ok((listed?.sizeBytes ?? 0) > 0);
    const container = await create({ ...target.sleeps, labels });
    await rejects(engine.removeImage(target.sleeps.image, signal), 'Conflict');
    await engine.removeContainer(container, { force: true, removeAnonymousVolumes: true }, signal);
    await engine.removeImage('no-such-image:9', signal);
    assert.ok((await engine.inspectImage(target.sleeps.image, signal)) !== undefined);
  });

  it('a call whose signal aborts rejects with its reason, a stream too', async () => {
    const stopped = new AbortController();
    const events = await engine.events({ labels }, stopped.signal);
    const reason = new Error('enough');
    stopped.abort(reason);
    await assert.rejects(
      takeUntil(events, () => false),
      reason,
    );
    await assert.rejects(engine.ping(stopped.signal), reason);
  });
}

/** Collects up to and with the first that `isLast`, or to the end. */
async function takeUntil<T>(items: AsyncIterable<T>, isLast: (item: T) => boolean): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (isLast(item)) {
      break;
    }
  }
  return taken;
}
