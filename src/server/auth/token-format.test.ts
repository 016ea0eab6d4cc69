import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashSecret, isSecretOf, newCredential, NODE_LETTER, parseCredential, TOKEN_LETTER } from './token-format.ts';

test('newCredential() makes 256 random bits under an id of its own, and keeps their hash alone', () => {
  const made = Array.from({ length: 200 }, () => newCredential(TOKEN_LETTER));
  assert.equal(new Set(made.map(({ id }) => id)).size, 200);
  for (const { text, id, hash } of made) {
    const credential = parseCredential(text);
    assert.ok(credential !== undefined && credential.id === id);
    assert.equal(Buffer.from(credential.secret, 'base64url').length, 32);
    assert.equal(hashSecret(credential.secret), hash);
    assert.ok(isSecretOf(credential.secret, Buffer.from(hash, 'hex')));
  }
  assert.match(newCredential(NODE_LETTER).id, /^n/u);
});

test('parseCredential() takes nothing but the whole form', () => {
  const { text } = newCredential(TOKEN_LETTER);
  for (const wrong of [
    '',
    ` ${text}`,
    `${text}\n`,
    text.slice(1),
    text.slice(0, -1),
    `${text}x`,
    text.toUpperCase(),
    'cara__',
    'cara_t_',
  ]) {
    assert.equal(parseCredential(wrong), undefined, wrong);
  }
});

test('parseCredential() is linear: what is long and almost right is refused as fast as what is short', () => {
  fc.assert(fc.property(fc.string({ maxLength: 2000 }), (text) => parseCredential(`cara_t${text}`) === undefined || text.length === 59));
});

test('isSecretOf() compares whole hashes in constant time, where there is no record too', (context) => {
  const compare = context.mock.method(crypto, 'timingSafeEqual');
  syncBuiltinESMExports(); // so that the import of the module under test is the mock too
  const kept = Buffer.from(hashSecret('right'), 'hex');
  assert.deepEqual([isSecretOf('right', kept), isSecretOf('wrong', kept), isSecretOf('right', undefined)], [true, false, false]);
  assert.equal(isSecretOf('', Buffer.alloc(32)), false);
  assert.equal(compare.mock.callCount(), 4);
  compare.mock.restore();
  syncBuiltinESMExports();
});
