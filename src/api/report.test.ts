import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Heartbeat, Registration } from './node.ts';
import { StatusReport } from './project.ts';
import { createReportDecoder } from './report.ts';

test('createReportDecoder() drops what a newer agent says beside what is known, at every depth, and keeps the rest', () => {
  const news = { pods: 7 };
  assert.deepEqual(
    createReportDecoder(Heartbeat)({
      ...news,
      capacity: { cpu: '4', gpu: 1 },
      network: { ip: '10.0.0.1', mtu: 1280, throughput: { upload: '1', jitter: '2' } },
      conditions: [{ type: 'DiskPressure', status: 'True', reason: 'LowDisk', severity: 'high' }],
      identity: { id: 'identity-1', bootId: 'boot', tpm: {} },
    }),
    {
      ok: true,
      value: {
        capacity: { cpu: '4' },
        network: { ip: '10.0.0.1', throughput: { upload: '1' } },
        conditions: [{ type: 'DiskPressure', status: 'True', reason: 'LowDisk' }],
        identity: { id: 'identity-1', bootId: 'boot' },
      },
    },
  );
  assert.deepEqual(createReportDecoder(Registration)({ ...news, hostname: 'a', info: { agentVersion: '9', build: 'x' } }), {
    ok: true,
    value: { hostname: 'a', info: { agentVersion: '9' } },
  });
  const service = { name: 'web', state: 'Running', ready: true } as const;
  assert.deepEqual(createReportDecoder(StatusReport)({ ...news, phase: 'Running', services: [{ ...service, cpuSeconds: 3 }] }), {
    ok: true,
    value: { phase: 'Running', services: [service] },
  });
});

test('createReportDecoder() checks what it knows as strictly as ever, and names that alone', () => {
  const decoded = createReportDecoder(Heartbeat)({ pods: 7, capacity: { cpu: '-4', gpu: 1 }, state: 'Banana' });
  assert.deepEqual(!decoded.ok && decoded.errors.map(({ pointer }) => pointer), ['/capacity/cpu', '/state']);
});

test('createReportDecoder() takes any JSON without a crash', () => {
  const decode = createReportDecoder(StatusReport);
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (input) => void decode(input)),
    { numRuns: 300 },
  );
});
