import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImage } from './image-rules.ts';

function saidOf(image: string): string | undefined {
  return checkImage({ image }, '')[0]?.detail;
}

test('checkImage() takes what engines take', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const image of [
    'busybox',
    'postgres:17',
    'a/b/c:V1.2_x-y',
    'registry.example/team/app@' + digest,
    'registry.example:5000/app:1@' + digest,
    'localhost/app',
    'localhost:5000/app:1',
    'Registry.Example/app',
    'my_app__x--y.z:latest',
    digest,
  ]) {
    assert.equal(saidOf(image), undefined, image);
  }
});

test('checkImage() says of what no engine takes how it is written', () => {
  assert.match(saidOf('http://docker.io/x') ?? '', /^must be without http:\/\/: /u);
  assert.match(
    saidOf('Foo/Bar:V1') ?? '',
    /^must be in lower case but for its registry and tag, as in foo\/bar:V1: current value is "Foo\/Bar:V1"$/u,
  );
  assert.match(saidOf('r.example/Foo:1') ?? '', /as in r\.example\/foo:1:/u);
  for (const image of ['nginx:', 'a//b', 'a/', 'x::1', 'x:1:2', 'a@sha256:12', 'a@b@c', 'a_-b', 'x:-1']) {
    assert.match(saidOf(image) ?? '', /^must be an image reference/u, image);
  }
});
