import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import { deriveDemand } from './demand.ts';
import { findRefusal } from './filters.ts';
import { NodeRing } from './node-ring.ts';
import { place } from './place.ts';
import { Snapshot } from './snapshot.ts';

const DEMAND = deriveDemand(projectOf('p', { requests: { cpu: '100m', memory: '64Mi' } }).spec);
const LARGE = 2000;

function fleetOf(count: number, cpuOf: (index: number) => string = () => '4'): Snapshot {
  const snapshot = new Snapshot();
  for (let index = 0; index < count; index += 1) {
    snapshot.setNode(nodeOf(`n${index}`, { allocatable: { cpu: cpuOf(index), memory: '8Gi' } }));
  }
  return snapshot;
}

test('find() takes the best of all nodes of a small fleet', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 8000 }), { maxLength: 40 }), (millis) => {
      const snapshot = fleetOf(millis.length, (index) => `${millis[index] ?? 0}m`);
      assert.equal(snapshot.ring.find(DEMAND).node?.name, place(snapshot.nodes, DEMAND).node?.name);
    }),
  );
});

test('find() looks at a small part of a large fleet, at another one each time, and spreads what it places', () => {
  const snapshot = fleetOf(LARGE);
  for (let index = 0; index < 2 * LARGE; index += 1) {
    const project = projectOf(`p${index}`, { requests: { cpu: '100m', memory: '64Mi' } });
    const { node, looked } = snapshot.ring.find(DEMAND);
    assert.ok(looked <= 64, `looked at ${looked}`);
    snapshot.setProject({ ...project, status: { ...project.status, phase: 'Running', nodeRef: node?.name ?? '' } });
  }
  const counts = new Set(snapshot.nodes.values().map(({ projectCount }) => projectCount));
  assert.deepEqual(
    [...counts].toSorted((a, b) => a - b),
    [1, 2, 3],
  ); // two each, give or take one
});

test('find() finds the one node of a large fleet that takes a Project, and looks at all before it says that none does', () => {
  fc.assert(
    fc.property(fc.nat(LARGE - 1), fc.nat(LARGE - 1), (only, gone) => {
      const snapshot = fleetOf(LARGE, (index) => (index === only ? '1' : '50m'));
      assert.equal(snapshot.ring.find(DEMAND).node?.name, `n${only}`);
      snapshot.removeNode(`n${gone}`);
      const { node, looked } = snapshot.ring.find(DEMAND);
      assert.equal(node?.name, only === gone ? undefined : `n${only}`);
      assert.equal(looked, LARGE - 1);
    }),
    { numRuns: 10 },
  );
});

test('find() looks at the node that was wished for alone', () => {
  const snapshot = fleetOf(LARGE, (index) => (index === 7 ? '50m' : '4'));
  const wish = (to: string) =>
    deriveDemand(projectOf('p', { requests: { cpu: '100m' } }).spec, { move: { from: 'n1', to, requestedAt: '' } });
  assert.equal(snapshot.ring.find(wish('n9')).node?.name, 'n9');
  assert.equal(snapshot.ring.find(wish('n7')).node, undefined);
  assert.equal(snapshot.ring.find(wish('n9999')).node, undefined);
});

test('set() and delete() keep each node once, in whatever order they come', () => {
  const nodeName = fc.integer({ min: 0, max: 9 }).map((index) => `n${index}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(nodeName, fc.boolean()), { maxLength: 60 }), (steps) => {
      const snapshot = new Snapshot();
      steps.forEach(([name, isThere], index) => {
        if (isThere) {
          snapshot.setNode(nodeOf(name, { version: index + 1 }));
        } else {
          snapshot.removeNode(name);
        }
      });
      assert.equal(snapshot.ring.size, snapshot.nodes.size);
      for (const view of snapshot.nodes.values()) {
        const demand = { ...DEMAND, wishedNode: view.name };
        assert.equal(snapshot.ring.find(demand).node, findRefusal(view, demand) === undefined ? view : undefined);
      }
      assert.equal(new NodeRing(new Map()).find(DEMAND).node, undefined);
    }),
  );
});
