import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf } from '../../test/support/objects/resources.ts';
import { Documents } from './documents.ts';
import { WriteBatch } from './write-batch.ts';

const named = (name: string) => ({ kind: 'Node', name }) as const;

function batchOn(...names: readonly string[]): WriteBatch {
  const documents = new Documents();
  names.forEach((name, index) => documents.apply({ type: 'ADDED', version: index + 1, object: nodeOf(name, { version: index + 1 }) }));
  return new WriteBatch(documents);
}

test('add() judges each write by those before it in its commit', () => {
  const batch = batchOn('a');
  batch.add([
    { op: 'delete', ...named('a'), expectedVersion: '1' },
    { op: 'check', ...named('a'), expectedVersion: undefined },
    { op: 'create', object: nodeOf('a') },
    { op: 'update', object: nodeOf('a'), expectedVersion: '3' },
  ]);
  assert.deepEqual(
    batch.changes.map(({ type, version }) => [type, version]),
    [
      ['DELETED', 2],
      ['ADDED', 3],
      ['MODIFIED', 4],
    ],
  );
});

test('add() judges a commit by those before it', () => {
  const batch = batchOn('a', 'b');
  batch.add([{ op: 'delete', ...named('a') }]);
  batch.add([{ op: 'create', object: nodeOf('c') }]);
  assert.throws(() => batch.add([{ op: 'update', object: nodeOf('a') }]), { reason: 'NotFound' });
  assert.throws(() => batch.add([{ op: 'create', object: nodeOf('c') }]), { reason: 'AlreadyExists' });
  batch.add([{ op: 'check', ...named('b'), expectedVersion: '2' }]);
});

test('add() of a commit that is refused leaves nothing behind', () => {
  const batch = batchOn('a');
  const refused = [
    { op: 'delete', ...named('a') },
    { op: 'delete', ...named('nobody') },
  ] as const;
  assert.throws(() => batch.add(refused), { reason: 'NotFound' });
  assert.equal(batch.changes.length, 0);
  batch.add([{ op: 'update', object: nodeOf('a'), expectedVersion: '1' }]);
  assert.equal(batch.changes.at(-1)?.version, 2);
});
