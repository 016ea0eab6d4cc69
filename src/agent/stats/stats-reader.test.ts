import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeStats } from '../docker/docker-stats.ts';
import type { ContainerSummary } from '../docker/docker-types.ts';
import { LABEL } from '../docker/names.ts';
import { readMachineCounters } from './machine-counters.ts';
import { createStatsReader, type StatsSources } from './stats-reader.ts';

const DISK = { path: '/', totalBytes: 1000, freeBytes: 400, inodes: 1, freeInodes: 1 };

function containerOf(n: number): ContainerSummary {
  const labels = { [LABEL.cluster]: 'c1', [LABEL.project]: 'shop', [LABEL.service]: `s${n}` };
  return { id: `id${n}`, names: [], image: '', imageId: '', state: 'running', labels, createdAtMs: 0, networkIds: [] };
}

function makeReader({ count = 20, engine = {} }: { readonly count?: number; readonly engine?: Partial<StatsSources['engine']> } = {}) {
  const world = { nowMs: 0, lists: 0, most: 0, now: 0 };
  const clock = { monotonicMs: () => world.nowMs, wallMs: () => 0, sleep: () => new Promise<void>(() => undefined) };
  const reader = createStatsReader({
    clock,
    clusterId: () => 'c1',
    start: 'start-1',
    measure: async () => ({ cpuMillis: 2000, memoryBytes: 8000, memoryAvailableBytes: 3000, disk: DISK }),
    readCounters: () => ({ cpuUsedMs: 70 }),
    engine: {
      listContainers: async () => {
        world.lists += 1;
        return Array.from({ length: count }, (_, n) => containerOf(n));
      },
      containerStats: async (id) => {
        world.now += 1;
        world.most = Math.max(world.most, world.now);
        await new Promise((resolve) => setImmediate(resolve));
        world.now -= 1;
        if (id === 'id3') {
          throw new Error('it does not answer');
        }
        return id === 'id4' ? undefined : { cpuUsedMs: 5, memoryLimitBytes: id === 'id5' ? 100 : 9_000_000 };
      },
      ...engine,
    },
  });
  return { world, reader };
}

describe('createStatsReader()', () => {
  it('read() tells what the machine and each container that answers have used, eight at a time', async () => {
    const { world, reader } = makeReader();
    const { machine, services, clock } = await reader.read();
    assert.deepEqual(machine, {
      cpuMillis: 2000,
      cpuUsedMs: 70,
      memoryBytes: 8000,
      memoryUsedBytes: 5000,
      diskBytes: 1000,
      diskUsedBytes: 600,
    });
    assert.equal(clock, 'start-1');
    assert.equal(services.length, 18); // one does not answer, one has gone
    assert.deepEqual(services.find(({ service }) => service === 's5')?.memoryLimitBytes, 100);
    assert.equal(services.find(({ service }) => service === 's6')?.memoryLimitBytes, undefined);
    assert.equal(world.most, 8);
  });

  it('read() asks the engine once for all who ask at once, and again after half a second', async () => {
    const { world, reader } = makeReader();
    await Promise.all([reader.read(), reader.read(), reader.read()]);
    world.nowMs = 499;
    await reader.read();
    assert.equal(world.lists, 1);
    world.nowMs = 500;
    await reader.read();
    assert.equal(world.lists, 2);
  });

  it('read() tells of the machine alone where the engine does not answer, and why', async () => {
    const listContainers = async (): Promise<never> => await Promise.reject(new Error('the engine is away'));
    const { services, problem, machine } = await makeReader({ engine: { listContainers } }).reader.read();
    assert.deepEqual([services, problem, machine.cpuMillis], [[], 'the engine is away', 2000]);
  });
});

describe('decodeStats()', () => {
  it('decodeStats() counts as the docker command line does, on both versions of cgroups', () => {
    const networks = { eth0: { rx_bytes: 5, tx_bytes: 7 }, eth1: { rx_bytes: 1, tx_bytes: 1 } };
    const blocks = [
      { op: 'Read', value: 10 },
      { op: 'Write', value: 3 },
      { op: 'Sync', value: 99 },
      { op: 'read', value: 1 },
    ];
    const body = (stats: object): object => ({
      cpu_stats: { cpu_usage: { total_usage: 2_500_000 } },
      memory_stats: { usage: 100, limit: 500, stats },
      networks,
      blkio_stats: { io_service_bytes_recursive: blocks },
    });
    const rest = { cpuUsedMs: 2.5, memoryLimitBytes: 500, receivedBytes: 6, sentBytes: 8, diskReadBytes: 11, diskWrittenBytes: 3 };
    assert.deepEqual(decodeStats(body({ total_inactive_file: 30, inactive_file: 5 })), { ...rest, memoryUsedBytes: 70 });
    assert.deepEqual(decodeStats(body({ inactive_file: 20 })), { ...rest, memoryUsedBytes: 80 });
  });

  it('decodeStats() leaves out what it is not told', () => {
    for (const body of [undefined, null, {}, { cpu_stats: null, networks: null, blkio_stats: { io_service_bytes_recursive: [] } }]) {
      assert.deepEqual(decodeStats(body), {});
    }
  });
});

describe('readMachineCounters()', () => {
  it('readMachineCounters() sums busy time and the bytes of cards, not of what is within the machine', () => {
    const files: Readonly<Record<string, string>> = {
      '/proc/stat': 'cpu  100 20 30 9999 888 1 2 3 50 0\ncpu0 1 1 1 1\n',
      '/proc/net/dev':
        'Inter-|   Receive    |  Transmit\n face |bytes packets\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0:1000 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\nvethab: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\nwlan0: 5 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n',
    };
    assert.deepEqual(
      readMachineCounters((path) => files[path]),
      { cpuUsedMs: 1560, receivedBytes: 1005, sentBytes: 73 },
    );
    assert.deepEqual(
      readMachineCounters(() => undefined),
      {},
    );
  });
});
