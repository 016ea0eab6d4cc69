import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasReason } from '../../api/errors.ts';
import { formatKeys, newKey, parseKeys, toKeyring } from './keyring.ts';
import { createSealer, joinFingerprints, type Place } from './sealer.ts';

const place: Place = { secret: 'shop', uid: 'u1', key: 'db-password' };
const isDamaged = (error: unknown): boolean => hasReason(error, 'Internal');

test('open() gives back what seal() took, whatever the bytes', () => {
  const sealer = createSealer(toKeyring(newKey()));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const value = Buffer.from(bytes);
      const sealed = sealer.seal(place, value);
      assert.equal(sealed.size, value.length);
      assert.deepEqual(sealer.open(place, sealed), value);
    }),
  );
});

test('seal() never gives the same form twice, and always the same fingerprint', () => {
  const sealer = createSealer(toKeyring(newKey()));
  const [first, second] = [sealer.seal(place, Buffer.from('hunter2')), sealer.seal(place, Buffer.from('hunter2'))];
  assert.notEqual(first.sealed, second.sealed);
  assert.equal(first.fingerprint, second.fingerprint);
  assert.notEqual(first.fingerprint, sealer.seal(place, Buffer.from('hunter3')).fingerprint);
  assert.doesNotMatch(JSON.stringify(first), /hunter2|aHVudGVyMg/u);
});

test('open() refuses a value with any one bit changed', () => {
  const sealer = createSealer(toKeyring(newKey()));
  const value = sealer.seal(place, Buffer.from('hunter2'));
  const bytes = Buffer.from(value.sealed, 'base64');
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => sealer.open(place, { ...value, sealed: changed.toString('base64') }), isDamaged);
    }),
  );
  for (const length of [0, 5, 12, 20, bytes.length - 1]) {
    const sealed = bytes.subarray(0, length).toString('base64');
    assert.throws(() => sealer.open(place, { ...value, sealed }), isDamaged, `cut to ${length} bytes`);
  }
});

test('open() refuses a value that stands elsewhere than where it was sealed', () => {
  const sealer = createSealer(toKeyring(newKey()));
  const value = sealer.seal(place, Buffer.from('hunter2'));
  for (const other of [
    { ...place, secret: 'blog' },
    { ...place, uid: 'u2' },
    { ...place, key: 'web-token' },
  ]) {
    assert.throws(() => sealer.open(other, value), isDamaged, JSON.stringify(other));
    assert.equal(sealer.tryOpen(other, value), undefined);
  }
});

test('a fingerprint does not show that two places have the same value, and nobody without the key can make it', () => {
  const sealer = createSealer(toKeyring(newKey()));
  const value = Buffer.from('hunter2');
  const fingerprint = sealer.seal(place, value).fingerprint;
  assert.notEqual(sealer.seal({ ...place, key: 'other' }, value).fingerprint, fingerprint);
  assert.notEqual(sealer.seal({ ...place, secret: 'other' }, value).fingerprint, fingerprint);
  assert.equal(sealer.seal({ ...place, uid: 'made anew' }, value).fingerprint, fingerprint);
  assert.notEqual(createSealer(toKeyring(newKey())).seal(place, value).fingerprint, fingerprint);
});

test('reseal() moves a value to the current key, keeps its fingerprint, and leaves alone what is there already', () => {
  const [old, next] = [newKey(), newKey()];
  const before = createSealer(toKeyring(old)).seal(place, Buffer.from('hunter2'));
  const both = createSealer(toKeyring(next, [old]));
  const after = both.reseal(place, before);
  assert.equal(after.keyId, next.id);
  assert.equal(after.fingerprint, before.fingerprint);
  assert.equal(both.reseal(place, after), after);
  const alone = createSealer(toKeyring(next));
  assert.equal(alone.open(place, after).toString(), 'hunter2');
  assert.throws(() => alone.open(place, before), {
    message: new RegExp(`the key ${old.id} that it was encrypted under is not there`, 'u'),
  });
});

test('joinFingerprints() takes its parts in any order, and notices a key that comes, goes or changes', () => {
  const [a, b] = [
    { name: 'a', fingerprint: '1' },
    { name: 'b', fingerprint: '2' },
  ];
  const joined = joinFingerprints([a, b]);
  assert.equal(joinFingerprints([b, a]), joined);
  for (const others of [[a], [b], [a, { ...b, fingerprint: '3' }], [a, { ...b, name: 'c' }], []]) {
    assert.notEqual(joinFingerprints(others), joined);
  }
});

test('parseKeys() reads what formatKeys() wrote, in its order', () => {
  const keys = [newKey(), newKey(), newKey()];
  const { current, byId } = parseKeys(formatKeys(keys));
  assert.equal(current.id, keys[0]?.id);
  assert.deepEqual(
    [...byId.keys()],
    keys.map(({ id }) => id),
  );
  assert.equal(parseKeys(`${keys[1]?.text},${keys[0]?.text}`).current.id, keys[1]?.id);
});

test('parseKeys() says what is no key without showing it', () => {
  for (const [text, words] of [
    ['', /no key in it/u],
    ['# only a comment\n', /no key in it/u],
    ['hunter2hunter2', /key 1 of 1 is not/u],
    [`${newKey().text} c2hvcnQ=`, /key 2 of 2 is not/u],
    [newKey().text.slice(0, -1), /key 1 of 1/u],
  ] as const) {
    assert.throws(
      () => parseKeys(text),
      (error) => error instanceof RangeError && words.test(error.message) && !error.message.includes('hunter2'),
      text,
    );
  }
});
