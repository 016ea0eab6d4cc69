import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
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

test('find() goes by what each node has and holds now, whatever has happened to it', () => {
  const amount = fc.constantFrom('0', '1', '2', '64Ki');
  const amounts = fc.record({ cpu: amount, memory: amount, disk: amount }, { requiredKeys: [] });
  const change = fc.record({
    node: fc.constantFrom('n0', 'n1', 'n2', 'n3'),
    project: fc.constantFrom('p0', 'p1', 'p2', 'p3'),
    what: fc.constantFrom('node', 'no node', 'bound', 'assumed', 'no project'),
    amounts,
    port: fc.constantFrom(80, 443),
    unschedulable: fc.boolean(),
    zone: fc.constantFrom('a', 'b'),
  });
  const demand = fc.record({
    requests: amounts,
    hostPorts: fc.subarray([80, 443]),
    zone: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), demand, (changes, { requests, hostPorts, zone }) => {
      const snapshot = new Snapshot();
      const spec = zone === undefined ? {} : { nodeSelector: { zone } };
      const asked = deriveDemand(projectOf('p', { requests, hostPorts, spec }).spec);
      for (const [index, { node, project, what, amounts: given, port, unschedulable, zone: label }] of changes.entries()) {
        const version = index + 1;
        if (what === 'node') {
          snapshot.setNode(nodeOf(node, { version, unschedulable, allocatable: given, labels: { zone: label } }));
        } else if (what === 'no node') {
          snapshot.removeNode(node);
        } else if (what === 'no project') {
          snapshot.removeProject(project);
        } else {
          const options = { version, requests: given, hostPorts: [port], meta: { generation: version } };
          snapshot.setProject(what === 'bound' ? boundOf(project, node, options) : projectOf(project, options));
          snapshot.assume(project, node, version);
        }
        assert.equal(snapshot.ring.find(asked).node?.name, place(snapshot.nodes, asked).node?.name);
      }
    }),
    { numRuns: 300 },
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
  assert.deepEqual([...counts], [2]); // each
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
