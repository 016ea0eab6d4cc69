import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeStats, ServiceStats } from '../../api/node/node-stats.ts';
import { sortByUse } from './sort-use.ts';
import { deriveNodeUse, deriveServiceUse, sumUse, UNKNOWN_USE } from './use.ts';

const MACHINE = { cpuMillis: 4000, memoryBytes: 100, memoryUsedBytes: 40, diskBytes: 900, diskUsedBytes: 300 };

function sampleOf(
  atMs: number,
  counts: { readonly cpuUsedMs?: number; readonly clock?: string; readonly services?: readonly ServiceStats[] },
): NodeStats {
  const { clock = 'a', services = [], cpuUsedMs } = counts;
  return {
    atMs,
    clock,
    services,
    machine: { ...MACHINE, ...(cpuUsedMs !== undefined && { cpuUsedMs }), receivedBytes: atMs * 2, sentBytes: 0 },
  };
}

function serviceOf(containerId: string, atMs: number, counts: Partial<ServiceStats> = {}): ServiceStats {
  return { project: 'shop', service: 'web', containerId, atMs, ...counts };
}

describe('deriveNodeUse()', () => {
  it('deriveNodeUse() makes rates of two samples', () => {
    const use = deriveNodeUse({ before: sampleOf(1000, { cpuUsedMs: 500 }), now: sampleOf(3000, { cpuUsedMs: 1500 }) });
    assert.deepEqual(use, { ...UNKNOWN_USE, cpuMillis: 500, memoryBytes: 40, diskBytes: 300, receivedPerSecond: 2000, sentPerSecond: 0 });
  });

  for (const [what, before, now] of [
    ['of one sample', undefined, sampleOf(3000, { cpuUsedMs: 1500 })],
    ['across a restart of the agent', sampleOf(1000, { cpuUsedMs: 500, clock: 'b' }), sampleOf(3000, { cpuUsedMs: 1500 })],
    ['of samples too close to each other', sampleOf(2990, { cpuUsedMs: 500 }), sampleOf(3000, { cpuUsedMs: 1500 })],
    ['of a counter that went back', sampleOf(1000, { cpuUsedMs: 1501 }), sampleOf(3000, { cpuUsedMs: 1500 })],
    ['of a counter that is missing', sampleOf(1000, {}), sampleOf(3000, { cpuUsedMs: 1500 })],
  ] as const) {
    it(`deriveNodeUse() makes no rate ${what}`, () => {
      const use = deriveNodeUse({ before, now });
      assert.deepEqual([use.cpuMillis, use.memoryBytes], [undefined, 40]);
    });
  }
});

describe('deriveServiceUse()', () => {
  it('deriveServiceUse() counts each container for itself, and sums those of a service', () => {
    const before = sampleOf(0, { services: [serviceOf('c1', 10, { cpuUsedMs: 100 }), serviceOf('c2', 10, { cpuUsedMs: 100 })] });
    const now = sampleOf(1000, {
      services: [
        serviceOf('c1', 1010, { cpuUsedMs: 200, memoryUsedBytes: 5 }),
        serviceOf('c2', 1010, { cpuUsedMs: 150, memoryUsedBytes: 6 }),
        { ...serviceOf('c3', 1010, { cpuUsedMs: 9 }), service: 'db' },
      ],
    });
    const uses = deriveServiceUse({ before, now });
    assert.deepEqual(uses.get('shop/web'), { ...UNKNOWN_USE, cpuMillis: 150, memoryBytes: 11 });
    assert.deepEqual(uses.get('shop/db'), UNKNOWN_USE); // another container than before, or a new one
  });
});

describe('sumUse()', () => {
  it('sumUse() of what is not wholly known is not known', () => {
    const known = { ...UNKNOWN_USE, cpuMillis: 1, memoryBytes: 2 };
    assert.deepEqual(sumUse([known, known]), { ...UNKNOWN_USE, cpuMillis: 2, memoryBytes: 4 });
    assert.deepEqual(sumUse([known, { ...known, cpuMillis: undefined }]), { ...UNKNOWN_USE, memoryBytes: 4 });
    assert.deepEqual(sumUse([]), UNKNOWN_USE);
  });
});

describe('sortByUse()', () => {
  it('sortByUse() shows what uses most first, and what is not known last', () => {
    const items = [
      { name: 'b', use: { ...UNKNOWN_USE, cpuMillis: 5, receivedPerSecond: 1 } },
      { name: 'a', use: UNKNOWN_USE },
      { name: 'c', use: { ...UNKNOWN_USE, cpuMillis: 9 } },
      { name: 'd', use: { ...UNKNOWN_USE, cpuMillis: 0, receivedPerSecond: 1, sentPerSecond: 1 } },
    ];
    const names = (key: 'name' | 'cpu' | 'network'): string =>
      sortByUse(items, key)
        .map(({ name }) => name)
        .join('');
    assert.deepEqual([names('name'), names('cpu'), names('network')], ['abcd', 'cbda', 'dbac']);
  });
});
