import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../errors.ts';
import { explainHabit } from './habits.ts';
import { decodeProjectManifest } from '../manifest.ts';

const HEAD = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' } };

/** What is said of a Project, by pointer. */
function saidOf(manifest: object): Readonly<Record<string, string>> {
  try {
    decodeProjectManifest({ ...HEAD, ...manifest });
  } catch (error) {
    assert.ok(error instanceof ApiError && error.reason === 'Invalid');
    return Object.fromEntries(error.errors.map(({ pointer, detail }) => [pointer, detail]));
  }
  return assert.fail('was accepted');
}

/** What is said of one field of the service "web". */
function saidOfField(field: string, value: unknown): string | undefined {
  return saidOf({ spec: { services: [{ name: 'web', image: 'web:1', [field]: value }] } })[
    `/spec/services/0/${field}${Array.isArray(value) ? '/0' : ''}`
  ];
}

test('decodeProjectManifest() says how short forms of Compose are written', () => {
  const forms: readonly (readonly [field: string, value: unknown, written: string])[] = [
    ['ports', ['8080:80'], '{ containerPort: 80, hostPort: 8080 }'],
    ['ports', ['127.0.0.1:53:53/udp'], '{ containerPort: 53, hostPort: 53, protocol: UDP }, which is open on all addresses of the node'],
    ['ports', ['0.0.0.0:8080:80'], '{ containerPort: 80, hostPort: 8080 }'],
    ['ports', ['8080-8090:80-90'], 'each port of the range by itself, as in { containerPort: 80, hostPort: 8080 }'],
    ['ports', ['3000-3005'], 'each port of the range by itself, as in { containerPort: 80, hostPort: 8080 }'],
    ['ports', [80], '{ containerPort: 80 }'],
    ['env', ['MODE=production'], '{ name: MODE, value: production }'],
    ['env', ['DEBUG=1'], '{ name: DEBUG, value: "1" }'],
    ['env', { DEBUG: 1, MODE: 'x' }, '[{ name: DEBUG, value: "1" }, …]'],
    ['env', { DEBUG: true }, '[{ name: DEBUG, value: "true" }]'],
    ['volumeMounts', ['data:/var/lib/data:ro'], '{ name: data, mountPath: /var/lib/data, readOnly: true }'],
    [
      'volumeMounts',
      ['./html:/usr/share/nginx/html:ro'],
      '{ name: files, mountPath: /usr/share/nginx/html, readOnly: true }, and under spec.volumes { name: files, type: HostPath, path: /…/html }',
    ],
    ['restartPolicy', 'unless-stopped', 'Always'],
    ['restartPolicy', 'on-failure:3', 'OnFailure'],
    ['restartPolicy', 'no', 'Never'],
    ['restartPolicy', false, 'Never'],
    ['tmpfs', '/run', '[{ mountPath: /run }]'],
    ['tmpfs', ['/run'], '{ mountPath: /run }'],
    ['dependsOn', ['db'], '{ service: db }'],
    ['dependsOn', { db: { condition: 'service_healthy' } }, '[{ service: db, condition: Healthy }]'],
    ['command', 'npm start', '[npm, start]'],
    ['command', 'sleep 5 && run', '[sh, -c, "sleep 5 && run"]'],
  ];
  for (const [field, value, written] of forms) {
    assert.ok(saidOfField(field, value)?.endsWith(`; write ${written}`), `${field}: ${saidOfField(field, value)}`);
  }
  assert.match(
    saidOf({ spec: { services: { web: { image: 'web:1' } } } })['/spec/services'] ?? '',
    /write \[\{ name: web, image: … \}\]$/u,
  );
  assert.match(
    saidOf({ spec: { services: [{ name: 'web', image: 'web:1' }], volumes: { data: null } } })['/spec/volumes'] ?? '',
    /write \[\{ name: data \}\]$/u,
  );
});

test('decodeProjectManifest() says how amounts, times and names in other spellings are written', () => {
  const said = saidOf({
    spec: {
      services: [
        {
          name: 'My_App',
          image: 'x',
          stopGracePeriod: 10,
          resources: { limits: { memory: '512MB', cpu: -1 }, requests: { memory: '0.5 gb' } },
          healthCheck: { tcpSocket: { port: 1 }, interval: '5 seconds' },
        },
      ],
      ttl: '7d',
    },
  });
  const written = Object.fromEntries(
    Object.entries(said).map(([pointer, detail]) => [pointer.replace(/.*\/(?=\w+\/\w+$)/u, ''), /; write (.*)$/u.exec(detail)?.[1]]),
  );
  assert.deepEqual(written, {
    '0/name': 'my-app',
    '0/stopGracePeriod': '10s',
    'limits/memory': '512Mi',
    'limits/cpu': undefined,
    'requests/memory': '0.5Gi',
    'healthCheck/interval': '5s',
    'spec/ttl': '168h',
  });
});

test('decodeProjectManifest() names what an unknown field of Compose or Kubernetes is here', () => {
  assert.equal(saidOfField('environment', { A: '1' }), 'is an unknown field: write env: [{ name: MODE, value: production }]');
  assert.equal(saidOfField('restart', 'always'), 'is an unknown field: write restartPolicy: Always, OnFailure or Never');
  assert.match(saidOfField('build', '.') ?? '', /^is an unknown field: images are not built here/u);
  assert.equal(saidOfField('depends_on', ['db']), undefined, 'one error a field, at the field');
  assert.match(
    saidOf({ spec: { services: [{ name: 'web', image: 'x', depends_on: ['db'] }] } })['/spec/services/0/depends_on'] ?? '',
    /did you mean dependsOn/u,
  );
  assert.equal(saidOf({ services: {} })['/services'], 'is an unknown field: write it under spec');
  assert.equal(
    saidOf({ spec: { services: [{ name: 'web', image: 'x', ports: [{ target: 80, published: 80 }] }] } })[
      '/spec/services/0/ports/0/published'
    ],
    'is an unknown field: write hostPort',
  );
});

test('explainHabit() takes any error of any input, and only ever changes its words', () => {
  const pointer = fc.constantFrom(
    '/spec/services/0/ports/0',
    '/spec/services/0/env',
    '/spec/services/0/env/0',
    '/spec/services/0/command',
    '/spec/services/0/volumeMounts/0',
    '/spec/services/0/dependsOn',
    '/spec/services',
    '/spec/volumes/0',
    '/constructor',
    '',
  );
  const value = fc.oneof(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(pointer, value, fc.constantFrom('must be a list', 'is an unknown field: known are x'), (at, any, detail) => {
      const said = explainHabit(
        { pointer: at, detail },
        { spec: { services: [{ ports: [any], env: any, command: any, dependsOn: any }] } },
      );
      assert.equal(said.pointer, at);
      assert.ok(said.detail.length < detail.length + 200);
    }),
  );
});

test('decodeProjectManifest() suggests no port that it would refuse, nor what is there already', () => {
  const ports = ['99999:80', '80:0', { containerPort: 80, hostPort: 70_000 }, { containerPort: '0' }];
  const said = saidOf({ spec: { services: [{ name: 'web', image: 'web:1', ports }] }, metadata: { name: 'shop' } });
  assert.deepEqual(Object.keys(said).length, ports.length, JSON.stringify(said));
  for (const detail of Object.values(said)) {
    assert.doesNotMatch(detail, /; write /u);
  }
});

test('decodeProjectManifest() says of fields of Compose and Kubernetes that are not here what stands for them', () => {
  const service = {
    name: 'web',
    image: 'web:1',
    labels: ['team=web'],
    sysctls: ['net.core.somaxconn=1024', 'a=b'],
    ports: [{ containerPort: 80, hostPort: '8080', host_ip: '127.0.0.1' }],
    healthCheck: { disable: true },
    logging: { driver: 'json-file' },
    resources: { reservations: { memory: '50M' } },
    profiles: ['debug'],
    hostNetwork: true,
    devices: ['/dev/ttyUSB0'],
  };
  const said = saidOf({ spec: { services: [service], initContainers: [] }, metadata: { name: 'shop', labels: ['a=b'] } });
  const at = (field: string): string => said[`/spec/services/0/${field}`] ?? '';
  for (const [field, end] of [
    ['labels', '; write { team: web }'],
    ['sysctls', '; write { net.core.somaxconn: "1024", … }'],
    ['ports/0/hostPort', 'current value is "8080"; write 8080'],
    ['ports/0/host_ip', 'leave it out: a hostPort is open on all addresses of the node'],
    ['healthCheck/disable', 'is an unknown field: write test: [NONE]'],
    ['logging/driver', 'write maxSize: 10Mi and maxFiles: 3; caractrl logs reads them'],
    ['resources/reservations', 'is an unknown field: write requests'],
    ['profiles', 'leave it out: write another Project, in another file'],
    ['hostNetwork', 'leave it out: a port with a hostPort is reached from outside'],
    ['devices', 'write privileged: true, which the node has to allow with ALLOW_PRIVILEGED=true'],
  ] as const) {
    assert.ok(at(field).endsWith(end), `${field}: ${at(field)}`);
  }
  assert.match(said['/spec/initContainers'] ?? '', /write services with restartPolicy: Never, and dependsOn with condition: Completed$/u);
  assert.match(said['/metadata/labels'] ?? '', /; write \{ a: b \}$/u);
});
