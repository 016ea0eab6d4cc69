import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import { applyObject, checkName, mergePatch, patchManifest, replaceObject, retryOnConflict } from './write-object.ts';

const NODE: NodeObject = {
  apiVersion: 'caravanserai/v1',
  kind: 'Node',
  metadata: {
    name: 'worker-01',
    labels: { zone: 'x' },
    annotations: { owner: 'ops' },
    uid: 'u1',
    resourceVersion: '7',
    generation: 3,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
  },
  spec: { hostname: 'a.local', unschedulable: false },
  status: { state: 'Ready', conditions: [] },
};
const NOW = '2026-02-02T00:00:00.000Z';

test('replaceObject() and applyObject() give back the very object when nothing changes, whatever the order of keys', () => {
  const metadata = { name: 'worker-01', labels: { zone: 'x' }, annotations: { owner: 'ops' }, resourceVersion: '7' };
  const spec = { unschedulable: false, hostname: 'a.local' };
  assert.equal(replaceObject(NODE, { metadata, spec }, NOW), NODE);
  assert.equal(applyObject(NODE, { metadata: { name: 'worker-01' }, spec }, NOW), NODE);
});

test('generation moves with spec alone, updatedAt with any change, uid and createdAt never', () => {
  const labelled = applyObject(NODE, { metadata: { name: 'worker-01', labels: { tier: 'edge' } }, spec: NODE.spec }, NOW);
  assert.deepEqual([labelled.metadata.generation, labelled.metadata.updatedAt], [3, NOW]);
  const cordoned = replaceObject(NODE, { metadata: { name: 'worker-01' }, spec: { unschedulable: true } }, NOW);
  assert.deepEqual([cordoned.metadata.generation, cordoned.metadata.labels, cordoned.metadata.annotations], [4, {}, {}]);
  assert.deepEqual([cordoned.metadata.uid, cordoned.metadata.createdAt], ['u1', NODE.metadata.createdAt]);
  assert.equal(cordoned.status, NODE.status);
});

test('applyObject() merges labels and annotations, and null removes', () => {
  const metadata = { name: 'worker-01', labels: { zone: null, tier: 'edge', absent: null }, annotations: { owner: null } };
  const applied = applyObject(NODE, { metadata, spec: NODE.spec }, NOW);
  assert.deepEqual([applied.metadata.labels, applied.metadata.annotations], [{ tier: 'edge' }, {}]);
});

test('a resourceVersion that is not current is a Conflict that names the current one', () => {
  const stale = { metadata: { name: 'worker-01', resourceVersion: '6' }, spec: NODE.spec };
  for (const write of [replaceObject, applyObject]) {
    assert.throws(() => write(NODE, stale, NOW), { reason: 'Conflict', message: /resourceVersion 6, current is 7/u });
  }
});

test("mergePatch() follows RFC 7396's own examples", () => {
  const examples: readonly (readonly [unknown, unknown, unknown])[] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of examples) {
    assert.deepEqual(mergePatch(target, patch), result);
  }
});

test('mergePatch() changes neither argument, and patching twice is patching once', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
      const before = JSON.stringify([target, patch]);
      const once = mergePatch(target, patch);
      assert.equal(JSON.stringify([target, patch]), before);
      assert.deepEqual(mergePatch(once, patch), once);
    }),
  );
});

test('patchManifest() hands the whole manifest to the decoder, with the resourceVersion of the patch, without status', () => {
  const seen = patchManifest(
    NODE,
    { metadata: { resourceVersion: '7', labels: { zone: null } }, spec: { hostname: null } },
    (input) => input,
  );
  assert.deepEqual(seen, {
    apiVersion: 'caravanserai/v1',
    kind: 'Node',
    metadata: { name: 'worker-01', labels: {}, annotations: { owner: 'ops' }, resourceVersion: '7' },
    spec: { unschedulable: false },
  });
});

test('retryOnConflict() tries again on the reasons it is given, and on no others', async () => {
  const failing = (reason: 'Conflict' | 'AlreadyExists' | 'NotFound', times: number) => {
    let calls = 0;
    return async (): Promise<number> => {
      calls += 1;
      if (calls <= times) {
        throw new ApiError(reason, 'Cannot');
      }
      return calls;
    };
  };
  assert.equal(await retryOnConflict(failing('Conflict', 3)), 4);
  assert.equal(await retryOnConflict(failing('AlreadyExists', 1), ['Conflict', 'AlreadyExists']), 2);
  await assert.rejects(retryOnConflict(failing('AlreadyExists', 1)), { reason: 'AlreadyExists' });
  await assert.rejects(retryOnConflict(failing('NotFound', 1)), { reason: 'NotFound' });
  await assert.rejects(retryOnConflict(failing('Conflict', 1000)), { reason: 'Conflict' });
});

test('checkName() says what the body names, also where that is nothing', () => {
  assert.doesNotThrow(() => checkName('a', 'a'));
  assert.throws(() => checkName('a', 'b'), /Cannot write "a" as the path and metadata\.name must agree: in the body it is "b"/u);
  assert.throws(() => checkName('a', undefined), /in the body it is missing$/u);
});
