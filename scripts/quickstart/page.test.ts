import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame, htmlToText } from './page.ts';

test('htmlToText() keeps the words alone, a line a block, with entities decoded', () => {
  const html = `<!doctype html><title>T</title><style>p { color: red }</style><main><svg><rect/></svg>
    <h1>Hi &amp; &quot;you&quot;</h1> <p>one
      two</p><dl> <dt>time</dt><dd>12:00</dd></dl></main>`;
  assert.equal(htmlToText(html), 'Hi & "you"\none two\ntime: 12:00');
});

test('frame() is as wide as the longest line', () => {
  assert.equal(frame('ab\nc'), '┌────┐\n│ ab │\n│ c  │\n└────┘');
});
