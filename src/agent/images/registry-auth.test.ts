import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRegistryAuth, registryOf, repositoryOf } from './registry-auth.ts';

const LOGIN = Buffer.from('ann:so:secret').toString('base64');

function configOf(auths: Readonly<Record<string, object>>): string {
  return JSON.stringify({ auths });
}

test('registryOf() and repositoryOf() read references as Docker does', () => {
  for (const [reference, registry, repository] of [
    ['postgres', 'docker.io', 'postgres'],
    ['team/app:1', 'docker.io', 'team/app'],
    ['index.docker.io/team/app', 'docker.io', 'index.docker.io/team/app'],
    ['localhost/app', 'localhost', 'localhost/app'],
    ['registry.example/app@sha256:abc', 'registry.example', 'registry.example/app'],
    ['10.0.0.1:5000/team/app:1@sha256:abc', '10.0.0.1:5000', '10.0.0.1:5000/team/app'],
  ] as const) {
    assert.equal(registryOf(reference), registry, reference);
    assert.equal(repositoryOf(reference), repository, reference);
  }
});

test('findRegistryAuth() matches by host and port, in whatever way docker wrote the key', () => {
  const expected = { username: 'ann', password: 'so:secret' };
  for (const [key, image] of [
    ['registry.example', 'registry.example/app:1'],
    ['https://Registry.example/v2/', 'registry.example/app:1'],
    ['https://index.docker.io/v1/', 'postgres:17'],
    ['docker.io', 'team/app'],
    ['10.0.0.1:5000', '10.0.0.1:5000/app'],
  ] as const) {
    const auth = findRegistryAuth([configOf({ [key]: { auth: LOGIN } })], image);
    assert.deepEqual(auth, { ...expected, serverAddress: registryOf(image) }, key);
  }
  const other = configOf({ 'registry.example:5000': { auth: LOGIN }, 'sub.registry.example': { auth: LOGIN } });
  assert.equal(findRegistryAuth([other], 'registry.example/app'), undefined);
});

test('findRegistryAuth() takes the first config that has the registry, in each form of credentials', () => {
  const first = configOf({ 'a.example': { username: 'bob', password: 'x' } });
  const second = configOf({ 'a.example': { auth: LOGIN }, 'b.example': { identitytoken: 'token' } });
  assert.equal(findRegistryAuth([first, second], 'a.example/app')?.username, 'bob');
  assert.equal(findRegistryAuth([first, second], 'b.example/app')?.identityToken, 'token');
  assert.equal(findRegistryAuth(['no JSON', '{}', '{"auths":{"a.example":{}}}'], 'a.example/app'), undefined);
});
