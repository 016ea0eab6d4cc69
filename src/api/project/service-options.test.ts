import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listPrivileges } from './capabilities.ts';
import { ApiError } from '../errors.ts';
import { decodeProjectManifest } from '../manifest.ts';

/** Decodes a Project of a service `web` with these fields beside a service `db`. @returns pointer below the service -> what is wrong with it */
function errorsOf(fields: object): Readonly<Record<string, string>> {
  const services = [
    { name: 'web', image: 'web:1', ...fields },
    { name: 'db', image: 'db:1' },
  ];
  try {
    const spec = { services, volumes: [{ name: 'v' }] };
    decodeProjectManifest({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec });
    return {};
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return Object.fromEntries((error.errors ?? []).map(({ pointer, detail }) => [pointer.replace('/spec/services/0', ''), detail]));
  }
}

test('decodeProjectManifest() takes every option in its forms', () => {
  const fields = {
    workingDir: '/srv',
    user: '1000:1000',
    hostname: 'web.shop.example',
    aliases: ['www', 'web'],
    extraHosts: ['printer:192.168.1.20', 'six:fd00::1', 'host.docker.internal:host-gateway'],
    capAdd: ['NET_ADMIN', 'CAP_SYS_NICE'],
    capDrop: ['ALL'],
    privileged: false,
    readOnly: true,
    tmpfs: [{ mountPath: '/tmp' }, { mountPath: '/run', size: '16Mi', mode: '1777' }],
    shmSize: 67_108_864,
    ulimits: { nofile: 1024, nproc: { soft: 10, hard: -1 }, core: { soft: -1, hard: -1 } },
    sysctls: { 'net.core.somaxconn': 1024, 'net.ipv4.ip_local_port_range': '1024 65000', 'kernel.shm_rmid_forced': '1' },
    init: true,
    tty: true,
    stopSignal: 'SIGRTMIN+3',
    logging: { maxSize: '1Mi', maxFiles: 1 },
    labels: { 'traefik.http.routers.web.rule': 'Host(`shop.example`) && PathPrefix(`/`)', 'com.example/team': '' },
  };
  assert.deepEqual(errorsOf(fields), {});
});

test('decodeProjectManifest() refuses an option that could not work, each with its pointer and what would be right', () => {
  for (const [fields, pointer, words] of [
    [{ workingDir: 'srv' }, '/workingDir', /absolute path/u],
    [{ user: 1000 }, '/user', /in quotes, as "1000"/u],
    [{ user: 'a b' }, '/user', /user:group/u],
    [{ hostname: 'Web_1' }, '/hostname', /a host name/u],
    [{ aliases: ['db'] }, '/aliases/0', /name of another service/u],
    [{ extraHosts: ['printer'] }, '/extraHosts/0', /NAME:ADDRESS/u],
    [{ extraHosts: ['printer:192.168.1.256'] }, '/extraHosts/0', /must give an IP address or host-gateway/u],
    [{ extraHosts: ['printer:fd00::g'] }, '/extraHosts/0', /must give an IP address/u],
    [{ capAdd: ['net_admin'] }, '/capAdd/0', /in capitals/u],
    [{ capDrop: ['CAP_ALL'] }, '/capDrop/0', /ALL or a Linux capability/u],
    [{ privileged: 'yes' }, '/privileged', /true or false|boolean/u],
    [{ readOnly: true, files: [{ mountPath: '/etc/a', content: '' }] }, '/readOnly', /does not go with files/u],
    [{ tmpfs: ['/run'] }, '/tmpfs/0', /./u],
    [{ tmpfs: [{ mountPath: '/' }] }, '/tmpfs/0/mountPath', /below "\/"/u],
    [{ tmpfs: [{ mountPath: '/a:exec' }] }, '/tmpfs/0/mountPath', /":" and ","/u],
    [{ tmpfs: [{ mountPath: '/a' }, { mountPath: '/a/' }] }, '/tmpfs/1/mountPath', /a second time/u],
    [{ tmpfs: [{ mountPath: '/a', mode: 1777 }] }, '/tmpfs/0/mode', /in quotes/u],
    [{ tmpfs: [{ mountPath: '/a', size: 0 }] }, '/tmpfs/0/size', /more than 0/u],
    [{ tmpfs: [{ mountPath: '/a' }], volumeMounts: [{ name: 'v', mountPath: '/a/' }] }, '/tmpfs/0/mountPath', /v is mounted at/u],
    [{ tmpfs: [{ mountPath: '/etc' }], files: [{ mountPath: '/etc/a', content: '' }] }, '/tmpfs/0/mountPath', /hide the file \/etc\/a/u],
    [{ shmSize: '64mb' }, '/shmSize', /a quantity/u],
    [{ shmSize: 0 }, '/shmSize', /more than 0/u],
    [{ ulimits: { files: 1 } }, '/ulimits/files', /nofile/u],
    [{ ulimits: { nofile: { soft: 2, hard: 1 } } }, '/ulimits/nofile/soft', /not be more than hard: 2 asked, hard 1/u],
    [{ ulimits: { nofile: { soft: -1, hard: 1 } } }, '/ulimits/nofile/soft', /not be more than hard/u],
    [{ ulimits: { nofile: '1' } }, '/ulimits/nofile', /a whole number, or -1/u],
    [{ sysctls: { 'vm.max_map_count': 262_144 } }, '/sysctls/vm.max_map_count', /others are set on the node/u],
    [{ sysctls: { 'net.core.somaxconn': true } }, '/sysctls/net.core.somaxconn', /whole number, or text/u],
    [{ stopSignal: 'TERM' }, '/stopSignal', /such as SIGTERM/u],
    [{ stopSignal: 'SIGSTOP' }, '/stopSignal', /a program can end on/u],
    [{ logging: { maxSize: '1k' } }, '/logging/maxSize', /at least 4Ki/u],
    [{ logging: { driver: 'syslog' } }, '/logging/driver', /unknown field/u],
    [{ logging: { maxFiles: 0 } }, '/logging/maxFiles', /1/u],
    [{ labels: { 'a b': 'x' } }, '/labels/a b', /no legal key/u],
    [{ labels: { on: true } }, '/labels/on', /quote numbers and booleans/u],
    [{ labels: { 'caravanserai.io/project': 'x' } }, '/labels/caravanserai.io~1project', /must not start with caravanserai\.io\//u],
    [{ labels: { 'Caravanserai.io/project': 'x' } }, '/labels/Caravanserai.io~1project', /must not start with/u],
  ] as const) {
    const errors = errorsOf(fields);
    assert.deepEqual(Object.keys(errors), [pointer], JSON.stringify(fields));
    assert.match(errors[pointer] ?? '', words);
  }
});

test('decodeProjectManifest() tells of options that break a rule along with those that do not fit the schema', () => {
  const broken = {
    extraHosts: ['a:b'],
    ulimits: { core: { soft: 1, hard: 0 } },
    shmSize: 0,
    logging: { maxSize: 1 },
    labels: { 'caravanserai.io/x': '' },
  };
  const rules = ['/extraHosts/0', '/labels/caravanserai.io~1x', '/logging/maxSize', '/shmSize', '/ulimits/core/soft'];
  assert.deepEqual(Object.keys(errorsOf({ ...broken, user: 1000 })).toSorted(), [...rules, '/user']);
});

test('listPrivileges() names what reaches beyond the container, whatever its spelling, and nothing else', () => {
  assert.deepEqual(listPrivileges({}), []);
  assert.deepEqual(listPrivileges({ privileged: false, capAdd: ['NET_ADMIN', 'CAP_CHOWN', 'SYS_NICE'] }), []);
  assert.deepEqual(listPrivileges({ privileged: true, capAdd: ['CAP_SYS_ADMIN', 'CHOWN', 'ALL'] }), [
    'privileged: true',
    'capAdd: [CAP_SYS_ADMIN, ALL]',
  ]);
});
