import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRouteTable } from './host-routes.ts';
import { DEFAULT_NETWORK_POOLS, findFreeSubnet, parseCidr, RESERVED_SUBNETS, type AddressRange } from './subnet-pool.ts';

const anyCidr = fc
  .tuple(fc.constantFrom('10.210', '10.211', '172.30', '192.168', '100.64'), fc.nat(255), fc.nat(255), fc.integer({ min: 10, max: 32 }))
  .map(([head, c, d, bits]) => `${head}.${c}.${d}/${bits}`);

function overlap(left: AddressRange | undefined, right: AddressRange | undefined): boolean {
  return left !== undefined && right !== undefined && left.first <= right.last && right.first <= left.last;
}

test('findFreeSubnet() gives an aligned /26 within a pool that overlaps with nothing taken, or none when there is none', () => {
  fc.assert(
    fc.property(fc.array(anyCidr, { maxLength: 40 }), (taken) => {
      const subnet = findFreeSubnet(DEFAULT_NETWORK_POOLS, taken);
      const used = [...taken, ...RESERVED_SUBNETS].map(parseCidr);
      if (subnet === undefined) {
        const blocks = DEFAULT_NETWORK_POOLS.flatMap((pool) => blocksOf(pool));
        assert.ok(blocks.every((block) => used.some((range) => overlap(block, range))));
        return;
      }
      const range = parseCidr(subnet);
      assert.ok(range !== undefined && range.last - range.first === 63 && range.first % 64 === 0);
      assert.ok(DEFAULT_NETWORK_POOLS.map(parseCidr).some((pool) => pool && pool.first <= range.first && range.last <= pool.last));
      assert.ok(!used.some((other) => overlap(range, other)), subnet);
    }),
  );
});

function blocksOf(pool: string): readonly AddressRange[] {
  const { first, last } = parseCidr(pool) ?? assert.fail();
  return Array.from({ length: (last - first + 1) / 64 }, (_, n) => ({ first: first + n * 64, last: first + n * 64 + 63 }));
}

test('findFreeSubnet() hands out a whole pool, each block once', () => {
  const taken: string[] = [];
  for (let subnet = findFreeSubnet(['10.210.0.0/22'], taken); subnet !== undefined; subnet = findFreeSubnet(['10.210.0.0/22'], taken)) {
    taken.push(subnet);
  }
  assert.equal(new Set(taken).size, 16);
  assert.deepEqual(taken.slice(0, 2), ['10.210.0.0/26', '10.210.0.64/26']);
});

test('findFreeSubnet() leaves the pool that a VPN routes, ignores a default route, and never takes overlay addresses', () => {
  assert.equal(findFreeSubnet(DEFAULT_NETWORK_POOLS, ['0.0.0.0/0', '10.0.0.0/8', 'fd00::/64']), '172.30.0.0/26');
  assert.equal(findFreeSubnet(['100.100.0.0/16'], []), undefined);
});

test('parseCidr() reads a block whatever its host bits, and refuses what is none', () => {
  assert.deepEqual(parseCidr('10.0.0.5/30'), { first: 0x0a000004, last: 0x0a000007 });
  for (const bad of ['10.0.0.0', '10.0.0.256/8', '10.0.0.0/33', 'fd00::/8', '']) {
    assert.equal(parseCidr(bad), undefined, bad);
  }
});

test('parseRouteTable() reads /proc/net/route', () => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'tun0\t0000D20A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    '',
  ].join('\n');
  assert.deepEqual(parseRouteTable(table), ['0.0.0.0/0', '10.210.0.0/16', '192.0.2.0/24']);
  assert.deepEqual(parseRouteTable(''), []);
});
