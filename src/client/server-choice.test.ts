import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemRandom } from '../base/random.ts';
import { ServerChoice } from './server-choice.ts';

const URLS = ['http://a', 'http://b', 'http://c', 'http://d'];

test('moveOn() tries each of the others before any a second time, in any order', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 6, maxLength: 6 }), (draws) => {
      const left = [...draws];
      const choice = new ServerChoice(URLS.join(','), { ...systemRandom, next: () => left.shift() ?? 0 });
      for (let round = 0; round < 2; round += 1) {
        const from = choice.current;
        const tried = URLS.slice(1).map(() => {
          choice.moveOn(choice.current);
          return choice.current;
        });
        assert.deepEqual(
          tried.toSorted(),
          URLS.filter((url) => url !== from),
        );
      }
    }),
  );
});

test('moveOn() stays where another request has moved on already, and where there is no other', () => {
  const choice = new ServerChoice(URLS.join(','));
  choice.moveOn('http://b');
  assert.equal(choice.current, 'http://a');
  const only = new ServerChoice('http://a');
  only.moveOn('http://a');
  assert.equal(only.current, 'http://a');
});
