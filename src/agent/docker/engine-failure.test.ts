import assert from 'node:assert/strict';
import test from 'node:test';
import type { EngineReason } from './engine-error.ts';
import { reasonOfWords, toConnectionFailure, toEngineFailure } from './engine-failure.ts';

const ALL = ['PortInUse', 'NoSpace', 'SubnetTaken', 'TooManyRequests', 'PullDenied', 'ImageNotFound', 'TaskLeftOver', 'Invalid'] as const;

// What engines have been seen to say; a new wording is added here first.
const SAID: readonly (readonly [EngineReason | undefined, string])[] = [
  [
    'PortInUse',
    'driver failed programming external connectivity on endpoint web (25): Bind for 0.0.0.0:80 failed: port is already allocated',
  ],
  [
    'PortInUse',
    'driver failed programming external connectivity on endpoint web (25): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use',
  ],
  ['PortInUse', 'Ports are not available: exposing port TCP 0.0.0.0:80 -> 0.0.0.0:0: listen tcp 0.0.0.0:80: bind: address already in use'],
  ['NoSpace', 'failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device'],
  ['NoSpace', 'mkdir /var/lib/docker/overlay2/ab-init: disk quota exceeded'],
  [
    'TaskLeftOver',
    'failed to start shim: mkdir /run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/ab12: file exists: unknown',
  ],
  ['SubnetTaken', 'Pool overlaps with other one on this address space'],
  ['SubnetTaken', 'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network'],
  ['SubnetTaken', 'cannot create network 1 (br-1): conflicts with network 2 (br-2): networks have overlapping IPv4'],
  ['SubnetTaken', 'all predefined address pools have been fully subnetted'],
  ['TooManyRequests', 'toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating'],
  [
    'PullDenied',
    "pull access denied for shop/web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
  ],
  ['PullDenied', 'Head "https://registry.example/v2/app/manifests/1": unauthorized: authentication required'],
  ['PullDenied', 'Get "https://registry.example/v2/app/manifests/1": no basic auth credentials'],
  ['PullDenied', 'denied'], // a 403 with the registry's usual words
  ['PullDenied', 'error parsing HTTP 403 response body: invalid character'],
  [undefined, 'open /var/lib/docker/tmp/x: permission denied'],
  ['ImageNotFound', 'manifest for postgres:99 not found: manifest unknown: manifest unknown'],
  ['ImageNotFound', 'no matching manifest for linux/arm/v7 in the manifest list entries'],
  [undefined, 'Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host'],
  [undefined, 'network cara_shop not found'],
  [
    'Invalid',
    'failed to create shim: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "/none": stat /none: no such file or directory: unknown',
  ],
  [
    'Invalid',
    'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/none": stat /none: no such file or directory: unknown',
  ],
  ['Invalid', 'extraction point is not a directory'],
  ['Invalid', 'container rootfs is marked read-only'],
  [
    undefined,
    'connection error: desc = "transport: error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"',
  ],
  [undefined, 'failed to create shim task: context deadline exceeded: unknown'],
];

test('reasonOfWords() knows what engines say', () => {
  for (const [reason, words] of SAID) {
    assert.equal(reasonOfWords(words, ALL), reason, words);
  }
});

test('reasonOfWords() finds only reasons that the call can have', () => {
  assert.equal(reasonOfWords('exec: "port is already allocated": executable file not found in $PATH', ['NoSpace']), undefined);
});

test("toEngineFailure() goes by the words, then the call's statuses, then the usual ones", () => {
  const meaning = { action: 'pull image "x"', byStatus: { 404: 'ImageNotFound' }, byWords: ['NoSpace'], otherwise: 'PullFailed' } as const;
  assert.equal(toEngineFailure(500, 'no space left on device', meaning).reason, 'NoSpace');
  assert.equal(toEngineFailure(404, 'x', meaning).reason, 'ImageNotFound');
  assert.equal(toEngineFailure(500, 'x', meaning).reason, 'PullFailed');
  assert.equal(toEngineFailure(429, 'x', meaning).reason, 'TooManyRequests');
  assert.equal(toEngineFailure(500, 'x', { action: 'y' }).reason, 'EngineFault');
  assert.equal(toEngineFailure(400, 'x', { action: 'y' }).reason, 'Invalid');
});

test("toEngineFailure() carries the engine's words on one line of bounded length", () => {
  assert.equal(toEngineFailure(500, ' bad\n  thing. ', { action: 'start container "a"' }).message, 'Cannot start container "a": bad thing');
  assert.equal(
    toEngineFailure(502, '', { action: 'start container "a"' }).message,
    'Cannot start container "a": the engine answered HTTP 502',
  );
  assert.ok(toEngineFailure(500, 'x'.repeat(10_000), { action: 'y' }).message.length < 2100);
});

test('toEngineFailure() shortens ids as the engine shows them, but no digest', () => {
  const id = '0123456789ab'.padEnd(64, 'c');
  const failure = toEngineFailure(500, `endpoint web (${id}) of sha256:${id}`, { action: `start container "${id}"` });
  assert.equal(failure.message, `Cannot start container "0123456789ab": endpoint web (0123456789ab) of sha256:${id}`);
});

test('toConnectionFailure() says what would mend it', () => {
  const address = { kind: 'unix', socketPath: '/d.sock', text: 'unix:///d.sock' } as const;
  const say = (code: string): string => toConnectionFailure(Object.assign(new Error('boom'), { code }), address, 'list networks').message;
  assert.match(say('ENOENT'), /^Cannot reach the container engine at unix:\/\/\/d\.sock as there is no such socket: is Docker running\?/u);
  assert.match(say('ECONNREFUSED'), /nothing listens there: is Docker running\? Start it, or set DOCKER_HOST/u);
  assert.match(say('EACCES'), /may not use the socket: add the user to the socket's group/u);
  assert.match(say('EAI_AGAIN'), /host name cannot be resolved/u);
  assert.equal(say('ECONNRESET'), 'Cannot list networks as the container engine at unix:///d.sock closed the connection');
  assert.match(say('HPE_INVALID_CONSTANT'), /does not speak HTTP: boom$/u);
  assert.equal(say('EHOSTUNREACH'), 'Cannot reach the container engine at unix:///d.sock: boom');
});
