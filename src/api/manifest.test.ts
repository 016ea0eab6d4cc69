import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError, fromProblem, toProblem } from './errors.ts';
import { decodeManifest, decodeNodeManifest, decodeProjectManifest } from './manifest.ts';

const HEAD = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' } };

function errorsOf(decode: () => unknown): readonly (readonly [string, string])[] {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof ApiError && error.reason === 'Invalid');
    return error.errors.map(({ pointer, detail }) => [pointer, detail]);
  }
  return assert.fail('was accepted');
}

function pointersOf(spec: unknown): readonly string[] {
  return errorsOf(() => decodeProjectManifest({ ...HEAD, spec })).map(([pointer]) => pointer);
}

test('decodeManifest() takes every field that the contract shows', () => {
  decodeManifest({
    ...HEAD,
    metadata: { name: 'shop', labels: { 'caravanserai.io/zone': 'ed312', gone: null }, annotations: { note: 'free text' } },
    spec: {
      services: [
        {
          name: 'db',
          image: 'postgres:17',
          env: [{ name: 'POSTGRES_PASSWORD', valueFrom: { secretKeyRef: { name: 'shop', key: 'db-password' } } }],
          volumeMounts: [{ name: 'data', mountPath: '/var/lib/postgresql/data' }],
          healthCheck: { test: ['CMD-SHELL', 'pg_isready'], interval: '5s', timeout: '3s', retries: 5, startPeriod: '10s' },
          resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '512Mi', cpu: 2 } },
        },
        {
          name: 'web',
          image: 'shop/web:3',
          command: ['serve'],
          ports: [{ containerPort: 8080, hostPort: 80, protocol: 'TCP' }],
          dependsOn: [{ service: 'db', condition: 'Healthy' }],
          restartPolicy: 'Always',
          stopGracePeriod: '10s',
        },
      ],
      volumes: [{ name: 'data', type: 'Managed' }],
      nodeSelector: { 'caravanserai.io/zone': 'ed312' },
      onNodeLost: { action: 'Reschedule', after: '3m', fence: true },
      expireAt: '2027-01-01T00:00:00Z',
    },
  });
});

test('decodeProjectManifest() reports every mistake of the schema at once, each with its pointer', () => {
  const pointers = pointersOf({
    services: [
      { name: 'Web', image: 'x', ports: [{ containerPort: 70_000 }], resources: { limits: { memory: '4gb' } }, hostport: 1 },
      { image: 7, restartPolicy: 'always' },
    ],
    volumes: [{ name: 'v', type: 'managed' }],
    nope: true,
  });
  assert.deepEqual(pointers.toSorted(), [
    '/spec/nope',
    '/spec/services/0/hostport',
    '/spec/services/0/name',
    '/spec/services/0/ports/0/containerPort',
    '/spec/services/0/resources/limits/memory',
    '/spec/services/1/image',
    '/spec/services/1/name',
    '/spec/services/1/restartPolicy',
    '/spec/volumes/0/type',
  ]);
});

test('decodeProjectManifest() reports every broken rule at once, each with its pointer', () => {
  const pointers = pointersOf({
    services: [
      { name: 'a', image: 'x', ports: [{ containerPort: 1, hostPort: 80 }], dependsOn: [{ service: 'b' }, { service: 'zz' }] },
      { name: 'b', image: 'x', ports: [{ containerPort: 1, hostPort: 80 }], dependsOn: [{ service: 'a', condition: 'Completed' }] },
      { name: 'a', image: 'x', env: [{ name: 'A', value: '1' }, { name: 'A' }], volumeMounts: [{ name: 'gone', mountPath: '/a/../b' }] },
    ],
    volumes: [{ name: 'v' }, { name: 'v', type: 'HostPath' }, { name: 'w', path: '/x' }],
    ttl: '1h',
    expireAt: '2027-02-30T99:00:00Z',
    onNodeLost: { action: 'Keep', fence: true },
  });
  assert.deepEqual(pointers.toSorted(), [
    '/spec/expireAt',
    '/spec/onNodeLost/fence',
    '/spec/services/0/dependsOn',
    '/spec/services/0/dependsOn/1/service',
    '/spec/services/1/dependsOn/0/condition',
    '/spec/services/1/ports/0/hostPort',
    '/spec/services/2/env/1/name',
    '/spec/services/2/name',
    '/spec/services/2/volumeMounts/0/mountPath',
    '/spec/services/2/volumeMounts/0/name',
    '/spec/ttl',
    '/spec/volumes/1/name',
    '/spec/volumes/1/path',
    '/spec/volumes/2/path',
  ]);
});

test('decodeManifest() suggests the field that was meant', () => {
  const errors = errorsOf(() => decodeManifest({ ...HEAD, kind: 'Node', spec: { unscheduleable: true } }));
  assert.deepEqual(errors, [['/spec/unscheduleable', 'is an unknown field: did you mean unschedulable?']]);
});

test('decodeManifest() takes null to remove, decodeNodeManifest() does not', () => {
  const manifest = { ...HEAD, kind: 'Node', metadata: { name: 'n', labels: { zone: null } }, spec: { hostname: null } };
  decodeManifest(manifest);
  assert.deepEqual(
    errorsOf(() => decodeNodeManifest(manifest)).map(([pointer]) => pointer),
    ['/metadata/labels/zone', '/spec/hostname'],
  );
});

test('decodeManifest() answers any JSON with a manifest or an Invalid error that survives the wire', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const manifest = fc.record({
    apiVersion: fc.constant('caravanserai/v1'),
    kind: fc.constantFrom('Node', 'Project'),
    metadata: value,
    spec: value,
  });
  fc.assert(
    fc.property(fc.oneof(value, manifest), (input) => {
      try {
        decodeManifest(input);
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
        const problem = JSON.parse(JSON.stringify(toProblem(error))) as unknown;
        assert.deepEqual(fromProblem(400, problem).errors, error.errors);
      }
    }),
    { numRuns: 300 },
  );
});
