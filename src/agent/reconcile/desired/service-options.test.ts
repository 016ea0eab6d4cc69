import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProject } from '../../../../test/support/objects/projects.ts';
import type { Service } from '../../../api/project.ts';
import { deriveDesired, type DesiredService } from '../desired.ts';

const CONTEXT = { clusterId: 'c1', allowedHostPaths: [] };

function derive(fields: Partial<Service>, context = {}): DesiredService {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1', ...fields }] });
  const [web] = deriveDesired(project, { ...CONTEXT, ...context }).services;
  return web ?? assert.fail('no service');
}

const OPTIONS: Partial<Service> = {
  workingDir: '/srv',
  user: '1000:1000',
  hostname: 'shopfront',
  extraHosts: ['printer:192.168.1.20'],
  capAdd: ['NET_ADMIN'],
  capDrop: ['ALL'],
  privileged: true,
  readOnly: true,
  tmpfs: [{ mountPath: '/run', size: '16Mi', mode: '1777' }],
  shmSize: '128Mi',
  ulimits: { nofile: 1024, nproc: { soft: 10, hard: -1 } },
  sysctls: { 'net.core.somaxconn': 1024 },
  init: true,
  tty: true,
  stopSignal: 'SIGINT',
  logging: { maxSize: '1Mi', maxFiles: 5 },
  labels: { 'traefik.enable': 'true' },
  aliases: ['www', 'shop'],
};

test('deriveDesired() writes every option as the engine wants it', () => {
  const { container } = derive(OPTIONS);
  const { labels, ...rest } = container;
  assert.deepEqual(rest, {
    image: 'web:1',
    workingDir: '/srv',
    user: '1000:1000',
    hostname: 'shopfront',
    extraHosts: ['printer:192.168.1.20'],
    capAdd: ['NET_ADMIN'],
    capDrop: ['ALL'],
    isPrivileged: true,
    isRootReadOnly: true,
    tmpfs: { '/run': { sizeBytes: 16 * 2 ** 20, mode: '1777' } },
    shmSizeBytes: 128 * 2 ** 20,
    ulimits: { nofile: { soft: 1024, hard: 1024 }, nproc: { soft: 10, hard: -1 } },
    sysctls: { 'net.core.somaxconn': '1024' },
    hasInit: true,
    hasTty: true,
    stopSignal: 'SIGINT',
    log: { maxSizeBytes: 2 ** 20, maxFiles: 5 },
    restart: { name: 'unless-stopped' },
    stopGraceMs: 10_000,
    network: { name: 'cara_shop', aliases: ['web', 'shop', 'www'] },
  });
  assert.equal(labels['traefik.enable'], 'true');
  assert.equal(labels['caravanserai.io/service'], 'web');
});

test('deriveDesired() lets no label of a service stand in for one of ours', () => {
  const { container } = derive({ labels: { 'caravanserai.io/project': 'other' } });
  assert.equal(container.labels['caravanserai.io/project'], 'shop');
});

test('deriveDesired() gives another config hash for every option, and for none the one it always was', () => {
  const plain = '4a8e98eac37578bb3e5802964736d7b6'; // another would replace the containers of a fleet at its agents' next update
  assert.equal(derive({ image: 'bare:1' }).configHash, plain);
  const nothing = {
    capAdd: [],
    capDrop: [],
    extraHosts: [],
    tmpfs: [],
    aliases: [],
    ulimits: {},
    sysctls: {},
    labels: {},
    logging: {},
    privileged: false,
    readOnly: false,
    init: false,
    tty: false,
  };
  assert.equal(derive({ image: 'bare:1', ...nothing }).configHash, plain);
  const hashes = Object.entries(OPTIONS).map(([name, value]) => derive({ image: 'bare:1', [name]: value }).configHash);
  assert.equal(new Set([plain, ...hashes]).size, Object.keys(OPTIONS).length + 1);
});

test('deriveDesired() gives the same config hash whatever the order and spelling that mean nothing', () => {
  const { configHash } = derive({ capAdd: ['NET_ADMIN', 'SYS_NICE'], aliases: ['a', 'b'], ulimits: { nofile: 1 }, shmSize: '1Mi' });
  const other = derive({
    capAdd: ['CAP_SYS_NICE', 'NET_ADMIN', 'CAP_NET_ADMIN'],
    aliases: ['b', 'a', 'b'],
    ulimits: { nofile: { hard: 1, soft: 1 } },
    shmSize: 2 ** 20,
  });
  assert.equal(other.configHash, configHash);
});

test('deriveDesired() refuses what is privileged unless the operator of the node allowed it, and says where to allow it', () => {
  const refuse = { privileges: { isAllowed: false, node: 'worker-01' } };
  const { failure } = derive({ privileged: true, capAdd: ['SYS_ADMIN'] }, refuse);
  assert.equal(failure?.reason, 'PrivilegedNotAllowed');
  assert.equal(
    failure.message,
    'Cannot start service "web" as the operator of node "worker-01" does not allow privileged: true and capAdd: [SYS_ADMIN]: set ALLOW_PRIVILEGED=true for cara-agent there, or take it out of the spec',
  );
  assert.equal(derive({ capAdd: ['ALL'] }).failure?.reason, 'PrivilegedNotAllowed', 'without a policy');
  assert.equal(derive({ capAdd: ['NET_ADMIN'] }, refuse).failure, undefined);
  assert.equal(derive({ privileged: true, capAdd: ['ALL'] }, { privileges: { isAllowed: true, node: 'worker-01' } }).failure, undefined);
});
