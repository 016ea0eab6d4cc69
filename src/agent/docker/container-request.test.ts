import assert from 'node:assert/strict';
import test from 'node:test';
import { toContainerRequest, toWholeSeconds } from './container-request.ts';

const ROTATED = { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } };

/** As the engine gets it. */
function written(spec: Parameters<typeof toContainerRequest>[0]): unknown {
  return JSON.parse(JSON.stringify(toContainerRequest(spec)));
}

test('toContainerRequest() leaves to image and engine what the spec does not say', () => {
  assert.deepEqual(written({ image: 'a', labels: {} }), {
    Image: 'a',
    Labels: {},
    ExposedPorts: {},
    HostConfig: { PortBindings: {}, LogConfig: ROTATED, RestartPolicy: { Name: 'no', MaximumRetryCount: 0 } },
  });
});

test('toContainerRequest() writes every field in the units of the engine', () => {
  const request = written({
    image: 'a:1',
    labels: { k: 'v' },
    entrypoint: ['/e'],
    command: ['c'],
    env: { A: '1', B: 'x=y' },
    workingDir: '/w',
    user: '1:2',
    hostname: 'web',
    extraHosts: ['printer:192.168.1.20'],
    capAdd: ['NET_ADMIN'],
    capDrop: ['ALL'],
    isPrivileged: true,
    isRootReadOnly: true,
    tmpfs: { '/a': {}, '/b': { sizeBytes: 1024, mode: '0700' } },
    shmSizeBytes: 65_536,
    ulimits: { nofile: { soft: 1, hard: 2 } },
    sysctls: { 'net.core.somaxconn': '1024' },
    hasInit: true,
    hasTty: true,
    stopSignal: 'SIGINT',
    log: { maxSizeBytes: 4096, maxFiles: 2 },
    ports: [
      { containerPort: 80, hostPort: 8080, protocol: 'TCP' },
      { containerPort: 80, hostPort: 8081, hostIp: '127.0.0.1', protocol: 'TCP' },
      { containerPort: 53, hostPort: 0, protocol: 'UDP' },
    ],
    mounts: [
      { type: 'volume', source: 'v', target: '/v', isReadOnly: false },
      { type: 'tmpfs', source: '', target: '/t', isReadOnly: false },
    ],
    network: { name: 'n', aliases: ['web'] },
    healthCheck: { test: ['CMD', 'x'], intervalMs: 1500, timeoutMs: 3000, retries: 5, startPeriodMs: 0 },
    restart: { name: 'on-failure', maxRetries: 3 },
    stopGraceMs: 1500,
    memoryLimitBytes: 512,
    memoryReservationBytes: 256,
    cpuLimitMillis: 1500,
    cpuRequestMillis: 250,
  });
  assert.deepEqual(request, {
    Image: 'a:1',
    Labels: { k: 'v' },
    Entrypoint: ['/e'],
    Cmd: ['c'],
    Env: ['A=1', 'B=x=y'],
    WorkingDir: '/w',
    User: '1:2',
    Hostname: 'web',
    Tty: true,
    StopSignal: 'SIGINT',
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Healthcheck: { Test: ['CMD', 'x'], Interval: 1_500_000_000, Timeout: 3_000_000_000, Retries: 5, StartPeriod: 0 },
    StopTimeout: 2,
    HostConfig: {
      NetworkMode: 'n',
      PortBindings: {
        '80/tcp': [
          { HostIp: '', HostPort: '8080' },
          { HostIp: '127.0.0.1', HostPort: '8081' },
        ],
        '53/udp': [{ HostIp: '', HostPort: '' }],
      },
      Mounts: [
        { Type: 'volume', Source: 'v', Target: '/v', ReadOnly: false },
        { Type: 'tmpfs', Target: '/t', ReadOnly: false },
      ],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '4096', 'max-file': '2' } },
      ExtraHosts: ['printer:192.168.1.20'],
      CapAdd: ['NET_ADMIN'],
      CapDrop: ['ALL'],
      Privileged: true,
      ReadonlyRootfs: true,
      Tmpfs: { '/a': '', '/b': 'size=1024,mode=0700' },
      ShmSize: 65_536,
      Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }],
      Sysctls: { 'net.core.somaxconn': '1024' },
      Init: true,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      Memory: 512,
      MemoryReservation: 256,
      NanoCpus: 1_500_000_000,
      CpuShares: 256,
    },
    NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['web'] } } },
  });
});

test('toContainerRequest() rotates logs by default, and in what the spec leaves out of it', () => {
  const configOf = (log: NonNullable<Parameters<typeof toContainerRequest>[0]['log']>): unknown =>
    (written({ image: 'a', labels: {}, log }) as { HostConfig: { LogConfig: unknown } }).HostConfig.LogConfig;
  assert.deepEqual(configOf({}), ROTATED);
  assert.deepEqual(configOf({ maxFiles: 1 }), { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '1' } });
  assert.deepEqual(configOf({ maxSizeBytes: 5000 }), { Type: 'json-file', Config: { 'max-size': '5000', 'max-file': '3' } });
});

test('toWholeSeconds() never gives less grace than asked for', () => {
  assert.deepEqual([-5, 0, 1, 1000, 1001].map(toWholeSeconds), [0, 0, 1, 1, 2]);
});
