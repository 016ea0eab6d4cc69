import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeAuth, PullTracker, toPullReference } from './image-pull.ts';

test('toPullReference() asks for one tag or digest, never for all tags', () => {
  const cases = {
    postgres: ['postgres', 'latest'],
    'postgres:17': ['postgres', '17'],
    'registry:5000/team/app': ['registry:5000/team/app', 'latest'],
    'registry:5000/team/app:1.2': ['registry:5000/team/app', '1.2'],
    'app@sha256:ab': ['app', 'sha256:ab'],
    'registry:5000/app:1@sha256:ab': ['registry:5000/app', 'sha256:ab'],
  };
  for (const [reference, [fromImage, tag]] of Object.entries(cases)) {
    assert.deepEqual(toPullReference(reference), { fromImage, tag });
  }
});

test('encodeAuth() writes the header as the engine reads it', () => {
  const header = encodeAuth({ username: 'u', password: 'p?>ü', serverAddress: 'registry.example' });
  assert.match(header, /^[\w-]+$/u);
  assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), {
    username: 'u',
    password: 'p?>ü',
    serveraddress: 'registry.example',
  });
});

test('PullTracker sums up layers, and counts no bytes twice while they are unpacked', () => {
  const tracker = new PullTracker({ action: 'pull image "x"' });
  const take = (line: object): string => {
    const { layersDone, layersTotal, downloadedBytes, totalBytes } = tracker.take(JSON.stringify(line));
    return `${layersDone}/${layersTotal} ${downloadedBytes}/${totalBytes}`;
  };
  assert.equal(take({ status: 'Pulling from library/x', id: '1' }), '0/0 0/0');
  assert.equal(take({ status: 'Already exists', progressDetail: {}, id: 'a' }), '1/1 0/0');
  assert.equal(take({ status: 'Pulling fs layer', progressDetail: {}, id: 'b' }), '1/2 0/0');
  assert.equal(take({ status: 'Downloading', progressDetail: { current: 5, total: 10 }, id: 'b' }), '1/2 5/10');
  assert.equal(take({ status: 'Download complete', progressDetail: {}, id: 'b' }), '1/2 10/10');
  assert.equal(take({ status: 'Extracting', progressDetail: { current: 1, total: 10 }, id: 'b' }), '1/2 10/10');
  assert.equal(take({ status: 'Pull complete', progressDetail: {}, id: 'b' }), '2/2 10/10');
  assert.equal(take({ status: 'Status: Downloaded newer image for x:1' }), '2/2 10/10');
});

test("PullTracker fails with the pull's own words", () => {
  const tracker = new PullTracker({ action: 'pull image "x"', byWords: ['NoSpace'], otherwise: 'PullFailed' });
  const line = (message: string): string => JSON.stringify({ errorDetail: { message }, error: message });
  assert.throws(() => tracker.take(line('write /a: no space left on device')), {
    reason: 'NoSpace',
    message: 'Cannot pull image "x": write /a: no space left on device',
  });
  assert.throws(() => tracker.take(line('unexpected EOF')), { reason: 'PullFailed' });
  assert.throws(() => tracker.take(JSON.stringify({ error: 'old form' })), { message: /old form$/u });
});
