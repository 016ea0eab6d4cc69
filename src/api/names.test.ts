import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DNS_LABEL, DNS_SUBDOMAIN, LABEL_KEY, LABEL_VALUE, matches, toNodeName } from './names.ts';

test('matches() knows names, label keys and label values', () => {
  for (const name of ['a', 'worker-01', 'edge-01.local', '0', 'a'.repeat(253)]) {
    assert.ok(matches(DNS_SUBDOMAIN, name), name);
  }
  for (const name of ['', 'Worker', '-a', 'a-', 'a..b', '.a', 'a_b', 'a/b', '../x', 'a b', 'é', 'a\n', 'a'.repeat(254)]) {
    assert.ok(!matches(DNS_SUBDOMAIN, name), name);
  }
  assert.ok(!matches(DNS_LABEL, 'a.b'));
  assert.ok(matches(LABEL_KEY, 'caravanserai.io/zone') && !matches(LABEL_KEY, 'A.b/zone') && !matches(LABEL_KEY, '/zone'));
  assert.ok(matches(LABEL_VALUE, '') && matches(LABEL_VALUE, 'Ed_3.1-2') && !matches(LABEL_VALUE, '-x') && !matches(LABEL_VALUE, 'a b'));
});

test('toNodeName() makes a legal name of any host name', () => {
  assert.equal(toNodeName('My_Laptop.local'), 'my-laptop.local');
  assert.equal(toNodeName('...'), 'node');
  fc.assert(fc.property(fc.string(), (hostname) => assert.ok(matches(DNS_SUBDOMAIN, toNodeName(hostname)), toNodeName(hostname))));
});

test('every grammar is decided in linear time', () => {
  for (const grammar of [DNS_SUBDOMAIN, DNS_LABEL, LABEL_KEY, LABEL_VALUE]) {
    const pattern = new RegExp(grammar.pattern, 'u');
    // quadratic would be 10^10 steps here, and the run would not end
    assert.equal(pattern.test(`${'a'.repeat(100_000)}!`), false);
    assert.equal(pattern.test(`${'a-'.repeat(50_000)}!`), false);
  }
});
