import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { draft } from '../../test/support/stores/store-backends.ts';
import { Documents } from './documents.ts';
import type { Change, StoredObject } from './store.ts';

function change(type: Change['type'], name: string, version: number): Change {
  const object = draft(name, version);
  return { type, version, object: { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } } };
}

it('list() shows what a plain Map would, sorted, whatever comes and goes between two lists', () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ op: fc.constant('toggle' as const), name: fc.nat(30) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('list' as const), after: fc.nat(30), limit: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('flood' as const) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const documents = new Documents();
      const model = new Map<string, number>();
      let version = 0;
      const put = (name: string): void => {
        version += 1;
        documents.apply(change(model.has(name) ? 'MODIFIED' : 'ADDED', name, version));
        model.set(name, version);
      };
      for (const [index, action] of steps.entries()) {
        if (action.op === 'flood') {
          Array.from({ length: 205 }, (_, number) => put(`${number % 7}-flood-${index}-${number}`));
        } else if (action.op === 'list') {
          const names = [...model.keys()].sort().filter((name) => name > String(action.after));
          const { items } = documents.list('Thing', { after: String(action.after), limit: action.limit });
          assert.deepEqual(
            items.map((item: StoredObject) => [item.metadata.name, item.metadata.resourceVersion]),
            names.slice(0, action.limit).map((name) => [name, String(model.get(name))]),
          );
        } else if (model.delete(String(action.name))) {
          version += 1;
          documents.apply(change('DELETED', String(action.name), version));
        } else {
          put(String(action.name));
        }
      }
      assert.deepEqual(
        documents.list('Thing').items.map((item) => item.metadata.name),
        [...model.keys()].sort(),
      );
    }),
  );
});

it('load() takes JSON in and decodes it when it is first asked for, frozen', () => {
  const documents = new Documents();
  const { object } = change('ADDED', 'a', 3);
  documents.load([{ kind: 'Thing', name: 'a', version: 3, json: JSON.stringify(object) }], 5);
  assert.equal(documents.version, 5);
  assert.equal(documents.findVersion('Thing', 'a'), 3);
  const decoded = documents.get('Thing', 'a');
  assert.deepEqual(decoded, object);
  assert.ok(Object.isFrozen(decoded?.metadata.labels));
  assert.equal(documents.list('Thing').items[0], decoded);
});
