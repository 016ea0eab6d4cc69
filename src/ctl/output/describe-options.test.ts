import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeOptions } from './describe-options.ts';

test('describeOptions() says what is set and nothing else', () => {
  const service = { name: 'web', image: 'web:1' };
  assert.equal(describeOptions({ ...service, privileged: false, capAdd: [], tty: false }), undefined);
  const options = {
    privileged: true,
    user: '1000',
    aliases: ['www', 'shop'],
    tmpfs: [{ mountPath: '/run', size: '16Mi' }, { mountPath: '/tmp' }],
    logging: { maxFiles: 5 },
    ulimits: { nofile: 1024, nproc: { soft: 1, hard: -1 } },
  };
  assert.deepEqual(describeOptions({ ...service, ...options }), [
    'privileged',
    'runs as 1000',
    'is also called www, shop',
    'tmpfs at /run (16Mi), /tmp',
    'log of 5 files of 10M',
    'ulimits nofile=1024, nproc=1:-1',
  ]);
});
