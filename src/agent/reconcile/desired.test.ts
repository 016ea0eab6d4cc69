import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { configHash } from './desired/config-hash.ts';
import { orderServices } from './desired/dependencies.ts';
import { deriveDesired } from './desired.ts';

const CONTEXT = { clusterId: 'c1', allowedHostPaths: [] };

test('deriveDesired() writes every field of a service as the engine wants it', () => {
  const project = makeProject({
    volumes: [{ name: 'data' }, { name: 'keep', type: 'Managed' }],
    services: [
      {
        name: 'web',
        image: 'web:1',
        entrypoint: ['/bin/sh'],
        command: ['serve'],
        env: [{ name: 'A', value: '1' }, { name: 'B' }],
        ports: [{ containerPort: 8080, hostPort: 80 }, { containerPort: 9090 }, { containerPort: 53, hostPort: 53, protocol: 'UDP' }],
        volumeMounts: [
          { name: 'data', mountPath: '/data' },
          { name: 'keep', mountPath: '/keep', readOnly: true },
        ],
        healthCheck: { test: ['CMD', 'true'], interval: '5s', timeout: '300ms', retries: 5, startPeriod: '1m' },
        resources: { requests: { cpu: '1' }, limits: { memory: '512Mi', cpu: '250m' } },
        restartPolicy: 'OnFailure',
        stopGracePeriod: '1m30s',
      },
    ],
  });
  const [web] = deriveDesired(project, CONTEXT).services;
  assert.ok(web);
  const { labels, ...container } = web.container;
  assert.deepEqual(container, {
    image: 'web:1',
    entrypoint: ['/bin/sh'],
    command: ['serve'],
    env: { A: '1', B: '' },
    ports: [
      { containerPort: 8080, hostPort: 80, protocol: 'TCP' },
      { containerPort: 53, hostPort: 53, protocol: 'UDP' },
    ],
    mounts: [
      { type: 'volume', source: 'cara_shop_data', target: '/data', isReadOnly: false },
      { type: 'volume', source: 'cara_shop_keep', target: '/keep', isReadOnly: true },
    ],
    healthCheck: { test: ['CMD', 'true'], intervalMs: 5000, timeoutMs: 300, retries: 5, startPeriodMs: 60_000 },
    memoryLimitBytes: 512 * 2 ** 20,
    cpuLimitMillis: 250,
    restart: { name: 'on-failure' },
    stopGraceMs: 90_000,
    network: { name: 'cara_shop', aliases: ['web'] },
  });
  assert.deepEqual(labels, {
    'caravanserai.io/cluster': 'c1',
    'caravanserai.io/project': 'shop',
    'caravanserai.io/project-uid': 'u1',
    'caravanserai.io/assignment': '1',
    'caravanserai.io/service': 'web',
    'caravanserai.io/config-hash': configHash(web.container),
  });
  assert.deepEqual(web.hostPorts, ['80/TCP', '53/UDP']);
});

test('deriveDesired() gives the same hash under another assignment, order of env, dependency or request', () => {
  const service = {
    name: 'web',
    image: 'web:1',
    env: [
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ],
  };
  const hash = (project: Parameters<typeof makeProject>[0]): string | undefined =>
    deriveDesired(makeProject(project), CONTEXT).services[0]?.configHash;
  const same = { ...service, env: service.env.toReversed(), dependsOn: [], resources: { requests: { cpu: '2' } } };
  assert.equal(hash({ services: [same], assignment: 7, generation: 9 }), hash({ services: [service] }));
});

test('deriveDesired() refuses a HostPath beside the allowed folders, whatever way its path takes', () => {
  const failureOf = (path: string): string | undefined => {
    const services = [{ name: 'web', image: 'web:1', volumeMounts: [{ name: 'v', mountPath: '/v' }] }];
    const project = makeProject({ services, volumes: [{ name: 'v', type: 'HostPath', path }] });
    return deriveDesired(project, { clusterId: 'c1', allowedHostPaths: ['/srv/', '/data/x'] }).services[0]?.failure?.reason;
  };
  for (const path of ['/srv', '/srv/a', '/srv/../srv/b', '/data/x/y', '/srv/..a']) {
    assert.equal(failureOf(path), undefined, path);
  }
  for (const path of ['/', '/etc', '/srvx', '/srv/..', '/srv/../etc', '/data', '/data/xy']) {
    assert.equal(failureOf(path), 'HostPathNotAllowed', path);
  }
});

test('orderServices() puts what is depended on first, and does not hang on a circle or a stranger', () => {
  const service = (name: string, ...on: string[]): { name: string; image: string; dependsOn: { service: string }[] } => ({
    name,
    image: 'i',
    dependsOn: on.map((other) => ({ service: other })),
  });
  const order = orderServices([service('c', 'b'), service('b', 'a'), service('a')]);
  assert.deepEqual(
    order.ordered.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  assert.equal(order.failures.size, 0);
  const bad = orderServices([service('x', 'y'), service('y', 'x'), service('z', 'nobody'), service('w')]);
  assert.deepEqual([...bad.failures.keys()].toSorted(), ['x', 'y', 'z']);
  assert.equal(bad.ordered.length, 4);
});
