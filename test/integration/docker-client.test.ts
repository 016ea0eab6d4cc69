/** The real client against the fake engine: what goes wrong between them. What goes right is in test/contract/engine.test.ts. */
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { createDockerEngine } from '../../src/agent/docker/docker-client.ts';
import type { PullProgress } from '../../src/agent/docker/docker-types.ts';
import { hasEngineReason } from '../../src/agent/docker/engine-error.ts';
import type { Engine } from '../../src/agent/docker/engine.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { NO_SPACE, startFakeDocker, type FakeDocker, type FakeDockerOptions } from '../support/engines/fake-docker.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const signal = AbortSignal.timeout(20_000);
const SPEC = { image: 'hello:1', labels: { k: 'v' } };
const never = new Promise<void>(() => undefined);

interface Setup extends AsyncDisposable {
  readonly fake: FakeDocker;
  readonly engine: Engine;
}

async function setUp({ clock = systemClock, ...options }: FakeDockerOptions & { readonly clock?: Clock } = {}): Promise<Setup> {
  const fake = await startFakeDocker(options);
  fake.addImage('hello:1');
  const engine = createDockerEngine({ host: fake.host, clock });
  return {
    fake,
    engine,
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

test('a client asks for the API version once, and again when the engine was away', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  await engine.ping(signal);
  await engine.ping(signal);
  assert.deepEqual(fake.requests, ['GET /version', 'GET /_ping', 'GET /_ping']);
  await fake.stop();
  await assert.rejects(engine.ping(signal), (error) => hasEngineReason(error, 'EngineUnreachable'));
  await fake.start();
  await engine.ping(signal);
  assert.deepEqual(fake.requests.slice(3), ['GET /version', 'GET /_ping']);
});

test('a client speaks the oldest API of an engine that has dropped 1.41', async () => {
  await using setup = await setUp({ apiVersion: '1.52', minApiVersion: '1.44' });
  await setup.engine.ping(signal);
  assert.deepEqual(await setup.engine.listContainers({ labels: {}, all: true }, signal), []);
});

test('a client refuses an engine that is too old', async () => {
  await using setup = await setUp({ apiVersion: '1.40' });
  await assert.rejects(setup.engine.ping(signal), { reason: 'EngineTooOld', message: /must speak API 1\.41 or newer .* with API 1\.40$/u });
});

test('an engine that is not there is told with its address and what to do', async () => {
  const engine = createDockerEngine({ host: 'unix:///nonexistent/docker.sock', clock: systemClock });
  await assert.rejects(engine.ping(signal), {
    reason: 'EngineUnreachable',
    message:
      'Cannot reach the container engine at unix:///nonexistent/docker.sock as there is no such socket: is Docker running? Start it, or set DOCKER_HOST to where it listens',
  });
});

test('what listens on the port and is no engine is told as such', async () => {
  const server = net.createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as net.AddressInfo;
  const engine = createDockerEngine({ host: `tcp://127.0.0.1:${port}`, clock: systemClock });
  await assert.rejects(engine.ping(signal), { reason: 'EngineFault', message: /does not speak HTTP/u });
  server.close();
});

test('a call that the engine does not answer ends at its time limit', async () => {
  const clock = new VirtualClock();
  await using setup = await setUp({ clock });
  const { fake, engine } = setup;
  await engine.ping(signal);
  fake.fail({ on: 'GET /containers/json', hold: never });
  const listing = engine.listContainers({ labels: {}, all: true }, signal);
  listing.catch(() => undefined);
  await clock.advance(29_999);
  assert.equal(await Promise.race([listing.catch(() => 'rejected'), clock.settle()]), undefined);
  await clock.advance(1);
  await assert.rejects(listing, { reason: 'Timeout', message: /^Cannot list containers as .* did not answer within 30000 ms$/u });
  assert.equal(clock.sleepers, 0);
});

test('stopContainer() waits for the grace and more', async () => {
  const clock = new VirtualClock();
  await using setup = await setUp({ clock });
  const { fake, engine } = setup;
  const id = await engine.createContainer('cara_a_b', SPEC, signal);
  const { promise, resolve } = Promise.withResolvers<void>();
  fake.fail({ on: 'POST /containers/*/stop', hold: promise });
  const stopping = engine.stopContainer(id, 60_000, signal);
  await clock.advance(80_000);
  resolve();
  await stopping;
});

test('a call ends with its signal, also while the engine thinks', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  fake.fail({ on: 'GET /info', hold: never });
  const stopping = new AbortController();
  const asking = engine.info(stopping.signal);
  const reason = new Error('stopping');
  while (!fake.requests.includes('GET /info')) {
    await systemClock.sleep(1, signal);
  }
  stopping.abort(reason);
  await assert.rejects(asking, reason);
});

test('a failure that did its work all the same is seen by looking again', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  const id = await engine.createContainer('cara_a_b', SPEC, signal);
  fake.fail({ on: 'POST /containers/*/start', answer: { status: 500, message: 'context deadline exceeded' }, isDoneAnyway: true });
  await assert.rejects(engine.startContainer(id, signal), { reason: 'EngineFault', message: /: context deadline exceeded$/u });
  assert.equal((await engine.inspectContainer(id, signal))?.state.status, 'running');
  await engine.startContainer(id, signal);
});

test('a connection that breaks before the answer is EngineUnreachable', async () => {
  await using setup = await setUp();
  setup.fake.fail({ on: 'POST /containers/create', isCut: true, isDoneAnyway: true });
  await assert.rejects(setup.engine.createContainer('cara_a_b', SPEC, signal), {
    reason: 'EngineUnreachable',
    message: /closed the connection$/u,
  });
  await assert.rejects(setup.engine.createContainer('cara_a_b', SPEC, signal), { reason: 'NameConflict' });
});

test('a read whose pooled connection breaks is made again on a new one', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  await engine.ping(signal);
  fake.fail({ on: 'GET /containers/json', isCut: true });
  assert.deepEqual(await engine.listContainers({ labels: {}, all: true }, signal), []);
  assert.equal(fake.requests.filter((request) => request === 'GET /containers/json').length, 2);
});

test('a full disk is NoSpace wherever it shows', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  fake.fail({ on: 'POST /containers/create', answer: NO_SPACE });
  await assert.rejects(engine.createContainer('cara_a_b', SPEC, signal), { reason: 'NoSpace' });
  fake.addRemoteImage('big:1', 'write /var/lib/docker/tmp/x: no space left on device');
  await assert.rejects(engine.pullImage('big:1', {}, signal), { reason: 'NoSpace' });
});

test('removeContainer() takes a removal in progress as done', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  const id = await engine.createContainer('cara_a_b', SPEC, signal);
  fake.fail({ on: 'DELETE /containers/*', answer: { status: 409, message: `removal of container ${id} is already in progress` } });
  await engine.removeContainer(id, { force: true, removeAnonymousVolumes: true }, signal);
});

test('pullImage() pulls one tag, tells its progress, and fails in the words of the registry', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  fake.addRemoteImage('registry:5000/shop/web:3');
  const progress: PullProgress[] = [];
  await engine.pullImage('registry:5000/shop/web:3', { onProgress: (step) => progress.push(step) }, signal);
  assert.deepEqual(
    progress.find(({ status }) => status === 'Downloading'),
    {
      status: 'Downloading',
      layersDone: 0,
      layersTotal: 1,
      downloadedBytes: 512,
      totalBytes: 1024,
    },
  );
  assert.match((await engine.inspectImage('registry:5000/shop/web:3', signal))?.digest ?? '', /^sha256:/u);
  fake.addRemoteImage('shop/db:1', 'toomanyrequests: You have reached your pull rate limit');
  await assert.rejects(engine.pullImage('shop/db:1', {}, signal), {
    reason: 'TooManyRequests',
    message: /^Cannot pull image "shop\/db:1": toomany/u,
  });
  await assert.rejects(engine.pullImage('nothing', {}, signal), { reason: 'PullDenied' });
});

test('pullImage() fails when the engine goes away in its midst', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  fake.fail({ on: 'POST /images/create', isCut: true });
  await assert.rejects(engine.pullImage('hello:2', {}, signal), { reason: 'EngineUnreachable' });
});

test('containerLogs() follows both streams until the container ends', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  const id = await engine.createContainer('cara_a_b', SPEC, signal);
  await engine.startContainer(id, signal);
  fake.state.writeLog(id, 'stdout', 'before\n');
  const seen: string[] = [];
  for await (const frames of await engine.containerLogs(id, { follow: true }, signal)) {
    seen.push(...frames.map(({ stream, bytes }) => `${stream} ${Buffer.from(bytes).toString().trim()}`));
    if (seen.length === 1) {
      fake.state.writeLog(id, 'stderr', 'after\n');
    } else {
      fake.state.exitContainer(id, 0);
    }
  }
  assert.deepEqual(seen, ['stdout before', 'stderr after']);
});

test('events() throws when the stream breaks', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  const events = await engine.events({ labels: {} }, signal);
  const following = (async () => {
    for await (const _event of events) {
      fake.cutEventStreams();
    }
  })();
  await engine.createVolume('v', {}, signal);
  await assert.rejects(following, { reason: 'EngineUnreachable' });
  assert.equal(fake.eventStreamCount, 0);
});

test('events() lets go of the stream when the caller has enough', async () => {
  await using setup = await setUp();
  const { fake, engine } = setup;
  const events = await engine.events({ labels: {} }, signal);
  await engine.createVolume('v', {}, signal);
  for await (const _event of events) {
    break;
  }
  while (fake.eventStreamCount > 0) {
    await systemClock.sleep(1, signal);
  }
});
