import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundOf, nodeOf } from '../../../test/support/objects/resources.ts';
import { sumRequests } from '../../api/resource-amounts.ts';
import type { ProjectObject } from '../../api/project.ts';
import { NodeLoad } from './node-load.ts';

const GIB = 2 ** 30;

/** @param age the smaller, the older */
function project(name: string, { node = 'n1', memory = '3Gi', age = 0, generation = 1 } = {}): ProjectObject {
  const createdAt = new Date(Date.UTC(2026, 0, 1) + age * 1000).toISOString();
  return boundOf(name, node, { requests: { memory }, meta: { createdAt, generation } });
}

const SMALL = { allocatable: { memory: '4Gi' } } as const;

test('sumOlder() is nothing while all fits, and what older ones request when the node has less', () => {
  let node = nodeOf('n1');
  const load = new NodeLoad(() => node);
  const [first, second] = [project('b', { age: 1 }), project('a', { age: 2 })];
  assert.deepEqual([...load.noteProject('b', first)], []);
  assert.deepEqual([...load.noteProject('a', second)], []);
  assert.equal(load.sumOlder(second).memoryBytes, 0);
  node = nodeOf('n1', SMALL);
  assert.equal(load.sumOlder(first).memoryBytes, 0);
  assert.equal(load.sumOlder(second).memoryBytes, 3 * GIB);
});

test('noteProject() names the others of a node that has, or had, too much on it', () => {
  const load = new NodeLoad((name) => nodeOf(name, SMALL));
  load.noteProject('a', project('a'));
  assert.deepEqual([...load.noteProject('b', project('b', { age: 1 }))].toSorted(), ['a', 'b']);
  assert.deepEqual([...load.noteProject('b', project('b', { age: 1 }))], [], 'nothing of it has changed');
  assert.deepEqual([...load.noteProject('a', undefined)], ['b'], 'there is room again');
  assert.equal(load.sumOlder(project('b', { age: 1 })).memoryBytes, 0);
});

test('sumOlder() law: the same as a sum over all Projects there are, in whatever order they come, change and go', () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    node: fc.constantFrom('n1', 'n2', 'gone'),
    memory: fc.constantFrom('1Gi', '2Gi', '5Gi'),
    generation: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const load = new NodeLoad((name) => nodeOf(name, SMALL));
      const there = new Map<string, ProjectObject>();
      for (const [index, { name, node, memory }] of steps.entries()) {
        const next = node === 'gone' ? undefined : project(name, { node, memory, age: name.charCodeAt(0), generation: index + 1 });
        load.noteProject(name, next);
        there.delete(name);
        if (next !== undefined) {
          there.set(name, next);
        }
      }
      for (const mine of there.values()) {
        const others = [...there.values()].filter(({ status }) => status.nodeRef === mine.status.nodeRef);
        const sum = (projects: readonly ProjectObject[]): number =>
          projects.reduce((total, { spec }) => total + sumRequests(spec).memoryBytes, 0);
        const older = others.filter(({ metadata }) => metadata.name < mine.metadata.name);
        assert.equal(load.sumOlder(mine).memoryBytes, sum(others) > 4 * GIB ? sum(older) : 0);
      }
    }),
  );
});
