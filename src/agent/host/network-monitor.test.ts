import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { pino } from 'pino';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { createNetworkMonitor, type NetworkMonitor } from './network-monitor.ts';
import type { OverlayFacts } from './overlay-network.ts';

const OVERLAY = { ip: '100.64.0.5', dnsName: 'worker-01.fleet.example.net', mode: 'Direct' } as const;

interface World {
  readonly clock: VirtualClock;
  readonly monitor: NetworkMonitor;
  /** what is there to be found; undefined: nothing */
  overlay: OverlayFacts['network'] | undefined;
  route: string | undefined;
  changes: number;
}

let stopping = new AbortController();
afterEach(() => stopping.abort());

/** A monitor that has looked once. */
async function start(found: Partial<Pick<World, 'overlay' | 'route'>>, nodeIp?: string): Promise<World> {
  stopping = new AbortController();
  const clock = new VirtualClock();
  const world: World = {
    overlay: undefined,
    route: undefined,
    ...found,
    clock,
    changes: 0,
    monitor: createNetworkMonitor({
      serverUrl: 'http://100.64.0.1:8080',
      nodeIp,
      overlay: { read: async () => world.overlay && { network: world.overlay, hasInterface: true, ageMs: 7 } },
      findAddress: async () => world.route ?? Promise.reject(new Error('no route')),
      onChange: () => (world.changes += 1),
      clock,
      log: pino({ level: 'silent' }),
    }),
  };
  world.monitor.run(stopping.signal).catch(() => undefined);
  await clock.advance(0);
  return world;
}

describe('createNetworkMonitor()', () => {
  test('latest() is what the overlay network says and nothing else of it', async () => {
    const { monitor } = await start({ overlay: OVERLAY, route: '192.168.1.5' });
    assert.deepEqual(monitor.latest(), OVERLAY);
  });

  test('latest() is the address of the route where there is no overlay network', async () => {
    const { monitor } = await start({ route: '192.168.1.5' });
    assert.deepEqual(monitor.latest(), { ip: '192.168.1.5' });
  });

  test('latest() has the configured address from the start, with name and path of the overlay network', async () => {
    const world = await start({ overlay: OVERLAY, route: '192.168.1.5' }, '10.0.0.7');
    assert.deepEqual(world.monitor.latest(), { ...OVERLAY, ip: '10.0.0.7' });
    world.overlay = undefined;
    await world.clock.advance(30_000);
    assert.deepEqual(world.monitor.latest(), { ip: '10.0.0.7' });
  });

  test('run() looks every 30 s and tells of each change once: path, name, address, overlay network gone', async () => {
    const world = await start({ overlay: OVERLAY, route: '192.168.1.5' });
    assert.equal(world.changes, 1);
    for (const [overlay, changes] of [
      [{ ...OVERLAY }, 1],
      [{ ...OVERLAY, mode: 'DERP' }, 2],
      [{ ip: OVERLAY.ip, mode: 'DERP' }, 3],
      [{ ip: '100.64.0.6', mode: 'DERP' }, 4],
      [undefined, 5],
    ] as const) {
      world.overlay = overlay;
      const before = world.monitor.latest();
      await world.clock.advance(29_999);
      assert.equal(world.monitor.latest(), before, 'looked too soon');
      await world.clock.advance(1);
      assert.deepEqual([world.monitor.latest(), world.changes], [overlay ?? { ip: '192.168.1.5' }, changes]);
    }
  });

  test('run() looks again after 5 s while no address is known, and keeps the last one when none can be found', async () => {
    const world = await start({});
    assert.deepEqual([world.monitor.latest(), world.changes], [{}, 0]);
    world.route = '192.168.1.5';
    await world.clock.advance(5000);
    assert.deepEqual([world.monitor.latest(), world.changes], [{ ip: '192.168.1.5' }, 1]);
    world.route = undefined;
    await world.clock.advance(60_000);
    assert.deepEqual([world.monitor.latest(), world.changes], [{ ip: '192.168.1.5' }, 1]);
  });
});
