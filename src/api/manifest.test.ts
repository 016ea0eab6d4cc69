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

/** Every field that the contract shows. */
const WHOLE = {
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
};

test('decodeManifest() takes every field that the contract shows', () => {
  decodeManifest(WHOLE);
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

test('decodeProjectManifest() holds what is sound against the rules though the schema finds mistakes too', () => {
  const pointers = pointersOf({
    services: [
      { name: 'a', image: 'x', ports: [{ containerPort: 70_000 }], dependsOn: [{ service: 'zz' }], env: [{ name: 'A' }, { name: 'A' }] },
      { name: 'a', image: 'x', volumeMounts: [{ name: 'gone', mountPath: '/a' }] },
      { name: 'c', image: 7, resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } },
    ],
    volumes: [{ name: 'v', type: 'managed' }, { name: 'v' }],
    ttl: '1h',
    expireAt: '2027-01-01T00:00:00Z',
    nope: 1,
  });
  assert.deepEqual(pointers.toSorted(), [
    '/spec/nope',
    '/spec/services/0/dependsOn/0/service',
    '/spec/services/0/env/1/name',
    '/spec/services/0/ports/0/containerPort',
    '/spec/services/1/name',
    '/spec/services/1/volumeMounts/0/name',
    '/spec/services/2/image',
    '/spec/services/2/resources/requests/cpu',
    '/spec/ttl',
    '/spec/volumes/0/type',
    '/spec/volumes/1/name',
  ]);
});

test('decodeProjectManifest() says of one malformed field nothing but that: what only follows from it is no mistake', () => {
  const spec = {
    ...WHOLE.spec,
    services: [...WHOLE.spec.services, { name: 'once', image: 'x', restartPolicy: 'Never', stopGracePeriod: '5s' }].map((service) =>
      service.name === 'web' ? { ...service, dependsOn: [{ service: 'db' }, { service: 'once', condition: 'Completed' }] } : service,
    ),
    volumes: [...WHOLE.spec.volumes, { name: 'media', type: 'HostPath', path: '/srv/media' }],
  };
  decodeProjectManifest({ ...HEAD, spec });
  for (const pointer of pointersWithin(spec)) {
    for (const junk of [{ '?': 1 }, 'no !', null]) {
      const broken = pointersOf(replaceAt(spec, pointer.split('/').slice(1), junk));
      assert.ok(broken.length > 0);
      for (const found of broken) {
        assert.ok(
          found === `/spec${pointer}` || found.startsWith(`/spec${pointer}/`),
          `${JSON.stringify(junk)} at /spec${pointer}: ${found}`,
        );
      }
    }
  }
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

/** Of every value below `value` whose text is not free. */
function pointersWithin(value: unknown, base = ''): readonly string[] {
  const inner =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, entry]) => pointersWithin(entry, `${base}/${key.replaceAll('/', '~1')}`))
      : [];
  const isFree = /\/(?:command|test)\/\d+$|\/value$/u.test(base);
  return base === '' || isFree ? inner : [base, ...inner];
}

function replaceAt(value: unknown, [key, ...rest]: readonly string[], junk: unknown): unknown {
  if (key === undefined) {
    return junk;
  }
  const name = key.replaceAll('~1', '/');
  const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : {}, value);
  copy[name] = replaceAt(copy[name], rest, junk);
  return copy;
}

test('decodeManifest() answers any JSON with a manifest or an Invalid error that survives the wire', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const part = fc.oneof(
    value,
    fc.record({ name: fc.oneof(fc.constantFrom('a', 'b'), value), image: value }),
    fc.constantFrom(
      { name: 'a', image: 'x', dependsOn: [{ service: 'b' }] },
      { name: 'b', dependsOn: [{ service: 'a', condition: 'Completed' }], volumeMounts: [{ name: 'a', mountPath: '/x' }] },
    ),
  );
  const spec = fc.oneof(value, fc.record({ services: fc.oneof(value, fc.array(part)), volumes: fc.oneof(value, fc.array(part)) }));
  const manifest = fc.record({
    apiVersion: fc.constant('caravanserai/v1'),
    kind: fc.constantFrom('Node', 'Project'),
    metadata: value,
    spec,
  });
  fc.assert(
    fc.property(fc.oneof(value, manifest), (input) => {
      try {
        decodeManifest(input);
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
        const pointers = error.errors.map(({ pointer }) => pointer);
        assert.equal(new Set(pointers).size, pointers.length, 'no place is told of twice');
        const problem = JSON.parse(JSON.stringify(toProblem(error))) as unknown;
        assert.deepEqual(fromProblem(400, problem).errors, error.errors);
      }
    }),
    { numRuns: 300 },
  );
});

test('decodeProjectManifest() names both ends of what a number may be', () => {
  const spec = (retries: number) => ({ services: [{ name: 'a', image: 'a', healthCheck: { test: ['CMD', 'ok'], retries } }] });
  for (const retries of [0, 1001]) {
    const [[, detail] = []] = errorsOf(() => decodeProjectManifest({ ...HEAD, spec: spec(retries) }));
    assert.match(detail ?? '', /^must be a whole number from 1 to 1000: /u);
  }
});
