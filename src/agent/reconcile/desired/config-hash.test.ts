import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ContainerSpec } from '../../docker/docker-types.ts';
import { canonicalJson, configHash } from './config-hash.ts';

const SPEC: ContainerSpec = {
  image: 'web:1',
  labels: { a: '1' },
  env: { A: '1', B: '2' },
  command: ['serve'],
  ports: [
    { containerPort: 80, hostPort: 8080, protocol: 'TCP' },
    { containerPort: 53, hostPort: 53, protocol: 'UDP' },
  ],
  mounts: [{ type: 'volume', source: 'v', target: '/v', isReadOnly: false }],
  healthCheck: { test: ['CMD', 'true'], intervalMs: 1000 },
  restart: { name: 'no' },
  stopGraceMs: 10_000,
};

/** The same value with the keys of every object in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(reversed);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

test('canonicalJson() writes the same for the same value, whatever the order of its keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(canonicalJson(reversed(value)), canonicalJson(value));
      assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('configHash() is blind to labels, network, the order of keys, ports and mounts, and to what is undefined or empty', () => {
  const hash = configHash(SPEC);
  assert.match(hash, /^[0-9a-f]{32}$/u);
  assert.equal(configHash(reversed(SPEC) as ContainerSpec), hash);
  assert.equal(configHash({ ...SPEC, labels: {}, network: { name: 'n', aliases: [] } }), hash);
  assert.equal(configHash({ ...SPEC, ports: SPEC.ports?.toReversed() ?? [] }), hash);
  const { ports: _ports, ...bare } = SPEC;
  assert.equal(configHash({ ...bare, ports: [] }), configHash(bare));
});

test('configHash() sees every change of what the container is', () => {
  const changes: Partial<ContainerSpec>[] = [
    { image: 'web:2' },
    { env: { A: '1' } },
    { env: { A: '1', B: '3' } },
    { command: ['serve', '-v'] },
    { entrypoint: ['sh'] },
    { ports: SPEC.ports?.slice(1) ?? [] },
    { mounts: [{ type: 'volume', source: 'v', target: '/v', isReadOnly: true }] },
    { healthCheck: { test: ['CMD', 'true'], intervalMs: 2000 } },
    { restart: { name: 'on-failure' } },
    { stopGraceMs: 1 },
    { memoryLimitBytes: 1 },
    { cpuLimitMillis: 1 },
  ];
  const hashes = new Set([SPEC, ...changes.map((change) => ({ ...SPEC, ...change }))].map((spec) => configHash(spec)));
  assert.equal(hashes.size, changes.length + 1);
});

test('configHash() stays what it was: another value would replace every container of a fleet at its agents’ next update', () => {
  assert.equal(configHash(SPEC), 'b13395830c1d66d7a2446c44060427ab');
});
