/** watchEngine() with the real client against the fake engine, in virtual time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { pino } from 'pino';
import { createDockerEngine } from '../../src/agent/docker/docker-client.ts';
import { watchEngine } from '../../src/agent/docker/docker-events.ts';
import { systemClock } from '../../src/base/clock.ts';
import { startFakeDocker } from '../support/engines/fake-docker.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const guard = AbortSignal.timeout(20_000);
const LABELS = { 'caravanserai.io/cluster': 'c1' };

interface Watch extends AsyncDisposable {
  readonly fake: Awaited<ReturnType<typeof startFakeDocker>>;
  readonly clock: VirtualClock;
  /** What was told, in order: `connected`, `disconnected`, or an event's action. */
  readonly told: string[];
  /** Creates a container, as someone else would. */
  readonly create: (name: string, labels?: Readonly<Record<string, string>>) => void;
  /** Waits in real time for the sockets to have carried what is told. */
  readonly until: (isReached: () => boolean) => Promise<void>;
}

async function startWatch(): Promise<Watch> {
  const fake = await startFakeDocker();
  fake.addImage('hello:1');
  const clock = new VirtualClock();
  const engine = createDockerEngine({ host: fake.host, clock: systemClock });
  const told: string[] = [];
  const stopping = new AbortController();
  const options = {
    clock,
    random: { next: () => 1, uuid: () => '' },
    log: pino({ level: 'silent' }),
    labels: LABELS,
    onConnected: () => void told.push('connected'),
    onDisconnected: () => void told.push('disconnected'),
    onEvent: ({ action }: { readonly action: string }) => void told.push(action),
  };
  const watching = watchEngine(engine, options, stopping.signal);
  return {
    fake,
    clock,
    told,
    create: (name, labels = LABELS) => void fake.state.createContainer(name, { Image: 'hello:1', Labels: labels }),
    until: async (isReached) => {
      while (!isReached()) {
        await systemClock.sleep(1, guard);
      }
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await watching;
      engine.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

test('watchEngine() tells of the connection first, then of events that carry the labels', async () => {
  await using watch = await startWatch();
  await watch.until(() => watch.told.length === 1);
  watch.create('foreign', { other: 'x' });
  watch.create('own');
  await watch.until(() => watch.told.length === 2);
  assert.deepEqual(watch.told, ['connected', 'create']);
});

test('watchEngine() connects again after a break, and gets what it missed', async () => {
  await using watch = await startWatch();
  const { fake, clock, told, create, until } = watch;
  await until(() => told.includes('connected'));
  create('one');
  await until(() => told.includes('create'));
  fake.cutEventStreams();
  await until(() => told.includes('disconnected') && clock.sleepers === 1);
  fake.state.removeContainer('one', false);
  await clock.advance(200);
  await until(() => told.includes('destroy'));
  assert.deepEqual(told, ['connected', 'create', 'disconnected', 'connected', 'create', 'destroy']);
});

test('watchEngine() tells once of an engine that is away, however often it tries', async () => {
  await using watch = await startWatch();
  const { fake, clock, told, until } = watch;
  await until(() => told.includes('connected'));
  await fake.stop();
  await until(() => clock.sleepers === 1);
  for (const waitMs of [200, 400, 800, 1600]) {
    await clock.advance(waitMs);
    await until(() => clock.sleepers === 1);
  }
  assert.deepEqual(told, ['connected', 'disconnected']);
  await fake.start();
  await clock.advance(3200);
  await until(() => told.length === 3);
  assert.deepEqual(told, ['connected', 'disconnected', 'connected']);
});

test('watchEngine() waits longer each time for streams that open and end at once', async () => {
  await using watch = await startWatch();
  const { fake, clock, told, until } = watch;
  const connections = (): number => told.filter((word) => word === 'connected').length;
  for (const [waitMs, count] of [200, 400, 800, 1600].map((ms, n) => [ms, n + 1] as const)) {
    await until(() => connections() === count);
    fake.cutEventStreams();
    await until(() => clock.sleepers === 1);
    await clock.advance(waitMs - 1);
    assert.equal(clock.sleepers, 1, `waits ${waitMs} ms`);
    await clock.advance(1);
  }
});
