import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { EngineInfo } from '../docker/docker-types.ts';
import { createEngineMonitor, toRuntimeCondition } from './engine-monitor.ts';

const info = { serverVersion: '28.0.0', dataDir: '/var/lib/docker' } as EngineInfo;
const HANGS = async (signal: AbortSignal): Promise<void> => {
  await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
};
const REFUSES = async (): Promise<void> => {
  throw new EngineError(
    'EngineUnreachable',
    'Cannot reach the container engine at unix:///x as there is no such socket: is Docker running?',
  );
};
const ANSWERS = async (): Promise<void> => undefined;

function setUp(ping: (signal: AbortSignal) => Promise<void>) {
  const clock = new VirtualClock();
  const engine = { ping, info: async () => info };
  let changes = 0;
  const log = pino({ level: 'silent' });
  const monitor = createEngineMonitor({ engine, dockerHost: 'unix:///x', onChange: () => (changes += 1), clock, log });
  const controller = new AbortController();
  const running = monitor.run(controller.signal).catch(() => undefined);
  return {
    clock,
    engine,
    monitor,
    changes: () => changes,
    [Symbol.asyncDispose]: async () => {
      controller.abort();
      await running;
    },
  };
}

describe('createEngineMonitor()', () => {
  it('createEngineMonitor() calls an engine unavailable until it has answered', async () => {
    await using world = setUp(HANGS);
    assert.equal(toRuntimeCondition(world.monitor.state()).status, 'True');
    await world.clock.advance(4999);
    assert.equal(world.monitor.state().reason, 'EngineNotAsked');
    await world.clock.advance(1);
    assert.equal(world.monitor.state().reason, 'EngineHangs');
    assert.match(world.monitor.state().message, /does not answer within 5 s/u);
  });

  it('createEngineMonitor() says at once, at the start, what keeps it from the engine', async () => {
    await using world = setUp(REFUSES);
    await world.clock.settle();
    const { reason, message } = toRuntimeCondition(world.monitor.state());
    assert.equal(reason, 'EngineUnreachable');
    assert.match(message, /is Docker running\?/u);
  });

  it('createEngineMonitor() forgives one failure, reports two in a row, and clears with one answer', async () => {
    await using world = setUp(ANSWERS);
    await world.clock.settle();
    assert.equal(world.monitor.state().isAvailable, true);
    assert.equal(world.monitor.state().info?.dataDir, '/var/lib/docker');
    world.engine.ping = REFUSES;
    await world.clock.advance(5000);
    assert.equal(world.monitor.state().isAvailable, true);
    world.engine.ping = ANSWERS;
    await world.clock.advance(1000);
    assert.equal(world.monitor.state().isAvailable, true);
    world.engine.ping = REFUSES;
    await world.clock.advance(6000);
    assert.equal(world.monitor.state().isAvailable, false);
    world.engine.ping = ANSWERS;
    await world.clock.advance(5000);
    assert.equal(world.monitor.state().isAvailable, true);
    assert.equal(world.changes(), 3); // up, down, up
  });

  it('createEngineMonitor() notices an engine that hangs within 11 s of its last answer being due', async () => {
    await using world = setUp(ANSWERS);
    await world.clock.settle();
    world.engine.ping = HANGS;
    await world.clock.advance(5000 + 11_000);
    assert.equal(world.monitor.state().reason, 'EngineHangs');
  });
});
