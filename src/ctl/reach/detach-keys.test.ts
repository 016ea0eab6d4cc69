import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../ctl-error.ts';
import { DEFAULT_DETACH_KEYS, DetachWatch, parseDetachKeys } from './detach-keys.ts';

describe('parseDetachKeys()', () => {
  it('parseDetachKeys() reads what Docker does', () => {
    assert.deepEqual([...parseDetachKeys(DEFAULT_DETACH_KEYS)], [0x10, 0x11]);
    assert.deepEqual([...parseDetachKeys('ctrl-@,a,ctrl-[,ctrl-\\,ctrl-]')], [0, 0x61, 0x1b, 0x1c, 0x1d]);
    assert.deepEqual([...parseDetachKeys('')], []);
    for (const wrong of ['ctrl-', 'ctrl-1', 'ab', 'ctrl-p,', 'ü']) {
      assert.throws(() => parseDetachKeys(wrong), UsageError, wrong);
    }
  });
});

describe('DetachWatch', () => {
  it('DetachWatch passes on everything before the keys, and nothing after them', () => {
    const keys = Uint8Array.from([1, 1, 2]);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ max: 3, maxLength: 6 }), { maxLength: 8 }), (chunks) => {
        const typed = Buffer.concat(chunks);
        const watch = new DetachWatch(keys);
        const passed: number[] = [];
        let isDetached = false;
        for (const chunk of chunks) {
          if (!isDetached) {
            const step = watch.push(chunk);
            passed.push(...step.bytes);
            isDetached = step.isDetached;
          }
        }
        const at = typed.indexOf(keys);
        assert.equal(isDetached, at !== -1);
        if (at === -1) {
          const held = typed.length - passed.length; // at most the beginning of the keys
          assert.ok(held < keys.length && Buffer.from(keys.subarray(0, held)).equals(typed.subarray(passed.length)));
        }
        assert.ok(Buffer.from(passed).equals(typed.subarray(0, at === -1 ? passed.length : at)));
      }),
      { numRuns: 500 },
    );
  });
});
