import assert from 'node:assert/strict';
import test from 'node:test';
import { parseDockerHost } from './docker-host.ts';

test('parseDockerHost() reads sockets and ports', () => {
  const cases = {
    'unix:///var/run/docker.sock': { kind: 'unix', socketPath: '/var/run/docker.sock' },
    'unix:///a b/ü.sock': { kind: 'unix', socketPath: '/a b/ü.sock' },
    'tcp://127.0.0.1:2376': { kind: 'tcp', host: '127.0.0.1', port: 2376 },
    'tcp://engine.local': { kind: 'tcp', host: 'engine.local', port: 2375 },
    'tcp://engine.local:80/': { kind: 'tcp', host: 'engine.local', port: 80 },
    'http://127.0.0.1:1': { kind: 'tcp', host: '127.0.0.1', port: 1 },
    'tcp://[::1]:2375': { kind: 'tcp', host: '::1', port: 2375 },
  };
  for (const [text, address] of Object.entries(cases)) {
    assert.deepEqual(parseDockerHost(text), { ...address, text });
  }
});

test('parseDockerHost() says what is wrong and which forms are right', () => {
  const cases = {
    '': /it has no scheme \(for example unix:\/\/\/var\/run\/docker\.sock or tcp:\/\/127\.0\.0\.1:2375\): current value is ""$/u,
    '/var/run/docker.sock': /a socket's path needs unix:\/\/ before it: unix:\/\/\/var\/run\/docker\.sock/u,
    'unix://docker.sock': /must be absolute/u,
    [`unix:///${'x'.repeat(107)}`]: /at most 107 bytes/u,
    'tcp://': /no host and port/u,
    'tcp://host:99999': /no host and port/u,
    'tcp://host:2375/prefix': /only a host and a port/u,
    'https://host:2376': /TLS to the engine is not supported/u,
    'ssh://user@host': /does not go through SSH/u,
    'npipe:////./pipe/docker_engine': /Windows/u,
    'fd://': /engine's own setting/u,
    'udp://host:1': /scheme "udp" is not known/u,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => parseDockerHost(text), { name: 'RangeError', message });
  }
});
