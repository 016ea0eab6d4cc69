import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { deriveAllocatable, deriveCapacity } from './capacity.ts';
import { readCgroupLimits } from './cgroup-limits.ts';
import { createHostProbe, measureCompute } from './host-probe.ts';
import {
  deriveDiskPressure,
  deriveMemoryPressure,
  isLow,
  NO_DISK_PRESSURE,
  toDiskCondition,
  toMemoryCondition,
  type DiskMeasure,
} from './pressure.ts';
import { findRouteAddress } from './route-address.ts';

const GIB = 2 ** 30;
const disk = (freePercent: number, freeInodesPercent = 50): DiskMeasure => ({
  path: '/var/lib/docker',
  totalBytes: 100 * GIB,
  freeBytes: freePercent * GIB,
  inodes: 1000,
  freeInodes: freeInodesPercent * 10,
});

describe('capacity', () => {
  it('deriveCapacity() and deriveAllocatable() write quantities to the letter', () => {
    const total = { cpuMillis: 2000, memoryBytes: 24 * GIB, diskBytes: 100 * GIB };
    assert.deepEqual(deriveCapacity(total), { cpu: '2', memory: '24Gi', disk: '100Gi' });
    assert.deepEqual(deriveAllocatable(total, { cpuMillis: 200, memoryBytes: GIB / 4, diskBytes: GIB }), {
      cpu: '1800m',
      memory: '24320Mi',
      disk: '99Gi',
    });
  });

  it('deriveAllocatable() is never below 0', () => {
    const total = { cpuMillis: 100, memoryBytes: 1, diskBytes: undefined };
    assert.deepEqual(deriveAllocatable(total, { cpuMillis: 200, memoryBytes: 2, diskBytes: 3 }), { cpu: '0', memory: '0' });
  });
});

describe('pressure', () => {
  it('isLow() changes only outside of its gap, whatever the sequence', () => {
    const gap = { setBelow: 0.1, clearAbove: 0.12 };
    fc.assert(
      fc.property(fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), (wasLow, fraction) => {
        const low = isLow(wasLow, fraction, gap);
        if (fraction < gap.setBelow || fraction > gap.clearAbove) {
          assert.equal(low, fraction < gap.setBelow);
        } else {
          assert.equal(low, wasLow);
        }
      }),
    );
  });

  it('deriveDiskPressure() sets below 10 % and clears above 12 %, inodes below 5 % and above 7 %', () => {
    const reasons = [];
    let pressure = NO_DISK_PRESSURE;
    for (const [free, inodes] of [
      [10, 50],
      [9, 50],
      [12, 50],
      [12.5, 50],
      [50, 5],
      [50, 4],
      [50, 7],
      [50, 8],
    ] as const) {
      pressure = deriveDiskPressure(pressure, disk(free, inodes));
      reasons.push(toDiskCondition(pressure, disk(free, inodes)).reason);
    }
    assert.deepEqual(reasons, ['EnoughDisk', 'DiskLow', 'DiskLow', 'EnoughDisk', 'EnoughDisk', 'InodesLow', 'InodesLow', 'EnoughDisk']);
  });

  it('toDiskCondition() is DiskCritical below 2 % and says how much is free of what', () => {
    const pressure = deriveDiskPressure(NO_DISK_PRESSURE, disk(1.9));
    const condition = toDiskCondition(pressure, disk(1.9));
    assert.equal(condition.reason, 'DiskCritical');
    assert.match(condition.message, /^1 % of the disk of \/var\/lib\/docker is free/u);
    assert.equal(deriveDiskPressure(NO_DISK_PRESSURE, disk(2)).isCritical, false);
  });

  it('deriveDiskPressure() takes no inodes at all for plenty, as on btrfs', () => {
    assert.deepEqual(deriveDiskPressure(NO_DISK_PRESSURE, { ...disk(50), inodes: 0, freeInodes: 0 }), NO_DISK_PRESSURE);
  });

  it('toDiskCondition() and toMemoryCondition() say the same of every healthy sample, so that it is no news', () => {
    assert.deepEqual(toDiskCondition(NO_DISK_PRESSURE, disk(50)), toDiskCondition(NO_DISK_PRESSURE, disk(51)));
    assert.deepEqual(toMemoryCondition(false, 50, 100), toMemoryCondition(false, 51, 100));
  });

  it('deriveMemoryPressure() sets below 5 % and clears above 8 %', () => {
    assert.equal(deriveMemoryPressure(false, 5, 100), false);
    assert.equal(deriveMemoryPressure(false, 4.9, 100), true);
    assert.equal(deriveMemoryPressure(true, 8, 100), true);
    assert.equal(deriveMemoryPressure(true, 8.1, 100), false);
  });
});

describe('readCgroupLimits()', () => {
  const reader = (files: Record<string, string>) => (path: string) => files[path];

  it('readCgroupLimits() takes the tightest limit on the way up, in version 2', () => {
    const limits = readCgroupLimits(
      reader({
        '/proc/self/cgroup': '0::/a/b\n',
        '/sys/fs/cgroup/cgroup.controllers': 'cpu memory',
        '/sys/fs/cgroup/a/cpu.max': '150000 100000\n',
        '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
        '/sys/fs/cgroup/a/b/memory.max': '1073741824\n',
        '/sys/fs/cgroup/a/b/memory.current': '536870912\n',
        '/sys/fs/cgroup/a/b/memory.stat': 'anon 1\ninactive_file 268435456\n',
        '/sys/fs/cgroup/a/memory.max': 'max\n',
      }),
    );
    assert.deepEqual(limits, { cpuMillis: 1500, memoryBytes: GIB, memoryUsedBytes: GIB / 4 });
  });

  it('readCgroupLimits() leaves out the limit of our own systemd service, which the containers are not in', () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/cara-agent.service\n',
      '/sys/fs/cgroup/cgroup.controllers': 'memory',
      '/sys/fs/cgroup/system.slice/cara-agent.service/memory.max': '104857600',
      '/sys/fs/cgroup/system.slice/memory.max': String(8 * GIB),
    };
    assert.equal(readCgroupLimits(reader(files)).memoryBytes, 8 * GIB);
  });

  it('readCgroupLimits() reads version 1, where a huge number means none', () => {
    const files = {
      '/proc/self/cgroup': '5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n',
      '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us': '50000\n',
      '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes': '2147483648\n',
    };
    assert.deepEqual(readCgroupLimits(reader(files)), { cpuMillis: 500, memoryBytes: 2 * GIB, memoryUsedBytes: 0 });
    assert.equal(readCgroupLimits(reader({})).memoryBytes, Infinity);
  });

  it('measureCompute() gives what the limits allow of what the machine has', () => {
    const measured = measureCompute(
      reader({
        '/proc/meminfo': 'MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n',
        '/proc/self/cgroup': '0::/\n',
        '/sys/fs/cgroup/cgroup.controllers': 'cpu',
        '/sys/fs/cgroup/cpu.max': '50000 100000',
        '/sys/fs/cgroup/memory.max': String(2 * GIB),
        '/sys/fs/cgroup/memory.current': String(1.5 * GIB),
      }),
    );
    assert.deepEqual(measured, { cpuMillis: 500, memoryBytes: 2 * GIB, memoryAvailableBytes: GIB / 2 });
  });
});

describe('this machine', () => {
  it('createHostProbe() measures it, and "/" where the engine\'s folder is not visible', async () => {
    const measured = await createHostProbe().measure('/no/such/folder');
    assert.equal(measured.disk.path, '/');
    assert.ok(measured.cpuMillis > 0 && measured.memoryBytes > measured.memoryAvailableBytes && measured.disk.totalBytes > 0);
  });

  it('findRouteAddress() finds the loopback address for a server on it', async () => {
    assert.equal(await findRouteAddress('http://127.0.0.1:8080'), '127.0.0.1');
    await assert.rejects(findRouteAddress('http://host.invalid:1'));
  });
});
