import assert from 'node:assert/strict';
import test from 'node:test';
import {
  decodeContainer,
  decodeEvent,
  decodeImage,
  decodeList,
  decodeNetwork,
  decodeContainerSummary,
  decodeInfo,
  decodeVolume,
} from './docker-wire.ts';

test('decodeContainer() takes a whole answer', () => {
  const detail = decodeContainer({
    Id: 'abc',
    Name: '/cara_shop_web',
    Created: '2026-01-01T00:00:00Z',
    Image: 'sha256:1',
    RestartCount: 2,
    State: {
      Status: 'exited',
      Running: false,
      OOMKilled: true,
      ExitCode: 137,
      Error: '',
      StartedAt: '2026-01-01T00:00:01.5Z',
      FinishedAt: '0001-01-01T00:00:00Z',
      Health: { Status: 'unhealthy', FailingStreak: 4, Log: [{ Start: 'a', End: 'b', ExitCode: 1, Output: 'no' }] },
    },
    Config: { Image: 'shop/web:3', Labels: { k: 'v' }, Tty: true },
    Mounts: [
      { Type: 'volume', Name: 'cara_shop_data', Source: '/var/lib/docker/volumes/x', Destination: '/data', RW: true },
      { Type: 'bind', Source: '/srv', Destination: '/srv', RW: false },
    ],
    NetworkSettings: {
      Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': [{ HostIp: '::', HostPort: '53' }], '81/tcp': null },
      Networks: { cara_shop: { NetworkID: 'n1', IPAddress: '172.18.0.2', IPAMConfig: { IPv4Address: '172.18.0.2' }, Aliases: null } },
    },
  });
  assert.deepEqual(detail, {
    id: 'abc',
    name: 'cara_shop_web',
    createdAt: '2026-01-01T00:00:00Z',
    image: 'shop/web:3',
    imageId: 'sha256:1',
    labels: { k: 'v' },
    state: {
      status: 'exited',
      isRunning: false,
      exitCode: 137,
      isOomKilled: true,
      error: '',
      startedAt: '2026-01-01T00:00:01.5Z',
      finishedAt: undefined,
      health: { status: 'unhealthy', failingStreak: 4, log: [{ startedAt: 'a', finishedAt: 'b', exitCode: 1, output: 'no' }] },
    },
    restartCount: 2,
    ports: [
      { containerPort: 80, hostPort: 8080, hostIp: '0.0.0.0', protocol: 'TCP' },
      { containerPort: 53, hostPort: 53, hostIp: '::', protocol: 'UDP' },
    ],
    mounts: [
      { type: 'volume', source: 'cara_shop_data', target: '/data', isReadOnly: false },
      { type: 'bind', source: '/srv', target: '/srv', isReadOnly: true },
    ],
    networks: { cara_shop: { networkId: 'n1', ipAddress: '172.18.0.2', fixedAddress: '172.18.0.2', aliases: [] } },
    hasTty: true,
  });
});

test('decodeContainerSummary() takes the ids of its networks', () => {
  const networks = { cara_shop: { NetworkID: 'n1' }, other: {} };
  assert.deepEqual(decodeContainerSummary({ NetworkSettings: { Networks: networks } }).networkIds, ['n1', '']);
  assert.deepEqual(decodeContainerSummary({}).networkIds, []);
});

test('decode functions make something of empty answers and of null', () => {
  for (const body of [{}, null, '', { State: null, Labels: null, Mounts: null, NetworkSettings: null, IPAM: null }]) {
    assert.equal(decodeContainer(body).state.status, 'created');
    assert.deepEqual(decodeContainerSummary(body).labels, {});
    assert.deepEqual(decodeNetwork(body).subnets, []);
    assert.deepEqual(decodeVolume(body).labels, {});
    assert.equal(decodeImage(body).digest, undefined);
    assert.equal(decodeInfo(body).cpus, 0);
    assert.deepEqual(decodeList(body, decodeVolume), []);
  }
  assert.equal(decodeContainer({ State: { Health: { Status: 'none' } } }).state.health, undefined);
});

test('decodeImage() takes the digest from the repository digest', () => {
  assert.equal(decodeImage({ Id: 'sha256:1', RepoDigests: ['registry:5000/app@sha256:2'] }).digest, 'sha256:2');
});

test('decodeEvent() keeps nanoseconds whole, and is not misled by labels', () => {
  const attributes = { '"timeNano":1': 'x', timeNano: '5', name: 'web' };
  const line = JSON.stringify({ Type: 'container', Action: 'die', Actor: { ID: 'abc', Attributes: attributes }, time: 1_795_153_304 });
  const event = decodeEvent(`${line.slice(0, -1)},"timeNano":1795153304226872175}`);
  assert.deepEqual(event, { timeNs: 1_795_153_304_226_872_175n, type: 'container', action: 'die', id: 'abc', attributes });
  assert.equal(decodeEvent(line)?.timeNs, 1_795_153_304_000_000_000n);
  assert.equal(decodeEvent('{}'), undefined);
});
