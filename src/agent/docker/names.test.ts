import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DNS_LABEL, DNS_SUBDOMAIN, matches } from '../../api/names.ts';
import {
  clusterFilter,
  containerLabels,
  containerName,
  findContainerOwner,
  findOwner,
  findVolumeOwner,
  LABEL,
  networkName,
  ownerLabels,
  parseContainerName,
  volumeLabels,
  volumeName,
} from './names.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u).filter((text) => matches(DNS_LABEL, text));
const project = fc
  .array(label, { minLength: 1, maxLength: 6 })
  .map((labels) => labels.join('.'))
  .filter((text) => matches(DNS_SUBDOMAIN, text));
const pair = fc.record({ project, part: label });
// pairs that differ little, where a clash would hide: a.b and c-d against a and b.c-d
const closePair = fc.record({
  project: fc.constantFrom('a', 'a-b', 'a.b', 'a-b-c', 'b'),
  part: fc.constantFrom('a', 'b', 'b-c', 'c', 'a-b'),
});

test('names are those of the contract', () => {
  assert.equal(networkName('shop'), 'cara_shop');
  assert.equal(containerName('shop', 'web'), 'cara_shop_web');
  assert.equal(volumeName('shop', 'data'), 'cara_shop_data');
});

test('containerName() gives no two services one name, and none the name of a network', () => {
  fc.assert(
    fc.property(fc.oneof(pair, closePair), fc.oneof(pair, closePair), (left, right) => {
      const isSame = left.project === right.project && left.part === right.part;
      assert.equal(containerName(left.project, left.part) === containerName(right.project, right.part), isSame);
      assert.notEqual(containerName(left.project, left.part), networkName(right.project));
    }),
  );
});

test('containerName() is a legal Docker name and is read back by parseContainerName()', () => {
  fc.assert(
    fc.property(pair, ({ project: name, part }) => {
      assert.match(containerName(name, part), /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/u);
      assert.deepEqual(parseContainerName(containerName(name, part)), { project: name, service: part });
    }),
  );
});

test('parseContainerName() leaves foreign names alone', () => {
  for (const name of ['web', 'cara', 'cara_shop', 'cara__web', 'cara_shop_', 'caro_shop_web', 'cara_shop_web_1']) {
    assert.equal(parseContainerName(name), undefined, name);
  }
});

test('volumeName() stays within 255 bytes, keeps names apart, and never looks like a short one', () => {
  const long = fc.stringMatching(/^[a-z]{63}$/u).map((text) => `${text}.${text}.${text}.${text.slice(2)}`);
  fc.assert(
    fc.property(fc.record({ project: long, part: label }), fc.record({ project: long, part: label }), (left, right) => {
      const [a, b] = [volumeName(left.project, left.part), volumeName(right.project, right.part)];
      assert.ok(a.length <= 255 && b.length <= 255);
      assert.equal(a === b, left.project === right.project && left.part === right.part);
    }),
  );
  const [one, other] = ['x', 'y'].map((end) =>
    volumeName(`${'p'.repeat(60)}.${'p'.repeat(60)}.${'p'.repeat(60)}.${'p'.repeat(50)}`, `v${end}`.padStart(40, 'v')),
  );
  assert.notEqual(one, other);
  assert.match(one ?? '', /__[0-9a-f]{64}$/u);
});

test('owners are read back from the labels written for them', () => {
  const owner = { cluster: 'c1', project: 'shop', projectUid: 'u-1', assignment: 7 };
  const container = { ...owner, service: 'web', configHash: 'abc' };
  const volume = { ...owner, volume: 'data', volumeType: 'Managed' };
  assert.deepEqual(findOwner(ownerLabels(owner)), owner);
  assert.deepEqual(findContainerOwner(containerLabels(container)), container);
  assert.deepEqual(findVolumeOwner(volumeLabels(volume)), volume);
  assert.deepEqual(clusterFilter('c1', 'shop'), { 'caravanserai.io/cluster': 'c1', 'caravanserai.io/project': 'shop' });
  assert.deepEqual(clusterFilter('c1'), { 'caravanserai.io/cluster': 'c1' });
});

test('findOwner() owns nothing that lacks a label or has a number that is none', () => {
  const labels = containerLabels({ cluster: 'c1', project: 'shop', projectUid: 'u-1', assignment: 7, service: 'web', configHash: 'abc' });
  for (const key of Object.keys(labels)) {
    const { [key]: _gone, ...rest } = labels;
    assert.equal(findContainerOwner(rest), undefined, key);
  }
  for (const assignment of ['', '-1', '1.5', '1e3', 'x', '9'.repeat(16)]) {
    assert.equal(findOwner({ ...labels, [LABEL.assignment]: assignment }), undefined, assignment);
  }
  assert.equal(findVolumeOwner(labels), undefined);
});
