import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountPointsBelow } from './mounts.ts';

test('mountPointsBelow() gives the mounts of the folder alone, deepest first, with blanks decoded', () => {
  const mountinfo = [
    '22 1 254:0 / / rw - ext4 /dev/vda rw',
    '30 22 0:30 / /tmp/a\\040b rw - tmpfs tmpfs rw',
    '31 30 0:31 / /tmp/a\\040b/data/overlay2/x/merged rw shared:3 - overlay overlay rw',
    '32 22 0:32 / /tmp/a\\040bc rw - tmpfs tmpfs rw',
    '',
  ].join('\n');
  assert.deepEqual(mountPointsBelow(mountinfo, '/tmp/a b'), ['/tmp/a b/data/overlay2/x/merged', '/tmp/a b']);
});
