import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import { Snapshot } from './snapshot.ts';

const names = fc.constantFrom('p0', 'p1', 'p2', 'p3');
const nodeNames = fc.constantFrom('n0', 'n1', 'n2');
const anyOperation = fc.oneof(
  fc.record({ op: fc.constant('setNode' as const), name: nodeNames }),
  fc.record({ op: fc.constant('removeNode' as const), name: nodeNames }),
  fc.record({
    op: fc.constant('setProject' as const),
    name: names,
    node: fc.option(nodeNames, { nil: undefined }),
    cpu: fc.nat(3),
    port: fc.constantFrom(80, 443),
    generation: fc.nat(2),
    isOld: fc.boolean(),
  }),
  fc.record({ op: fc.constant('removeProject' as const), name: names }),
  fc.record({ op: fc.constant('assume' as const), name: names, node: fc.option(nodeNames, { nil: undefined }) }),
);

test('Snapshot counts per node, change by change, what a count from nothing gives', () => {
  fc.assert(
    fc.property(fc.array(anyOperation, { maxLength: 40 }), (operations) => {
      const snapshot = new Snapshot();
      const nodes = new Set<string>();
      const projects = new Map<string, { node: string | undefined; cpu: number; port: number; version: number; generation: number }>();
      let version = 100;
      for (const operation of operations) {
        version += 1;
        const { name } = operation;
        switch (operation.op) {
          case 'setNode':
            snapshot.setNode(nodeOf(name, { version }));
            nodes.add(name);
            break;
          case 'removeNode':
            snapshot.removeNode(name);
            nodes.delete(name);
            break;
          case 'setProject': {
            const { node, port, isOld } = operation;
            const previous = projects.get(name);
            // a spec belongs to a generation: it does not change under it
            const generation = (previous?.generation ?? 0) + (operation.generation === 0 && previous !== undefined ? 0 : 1);
            const cpu = generation === previous?.generation ? previous.cpu : operation.cpu;
            const hostPort = generation === previous?.generation ? previous.port : port;
            const given = isOld && previous !== undefined ? previous.version : version;
            const options = { requests: { cpu }, hostPorts: [hostPort], version: given, meta: { generation } };
            assert.equal(
              snapshot.setProject(node === undefined ? projectOf(name, options) : boundOf(name, node, options)),
              given === version,
            );
            if (given === version) {
              projects.set(name, { node, cpu, port: hostPort, version, generation });
            }
            break;
          }
          case 'removeProject':
            snapshot.removeProject(name);
            projects.delete(name);
            break;
          case 'assume': {
            const known = projects.get(name);
            snapshot.assume(name, operation.node, known?.version ?? 1);
            if (known !== undefined) {
              projects.set(name, { ...known, node: operation.node });
            }
            break;
          }
          default:
            operation satisfies never;
        }
      }
      assert.deepEqual(new Set([...snapshot.nodes.values()].map((view) => view.name)), nodes);
      for (const view of snapshot.nodes.values()) {
        const placed = [...projects.values()].filter(({ node }) => node === view.name);
        assert.equal(view.projectCount, placed.length);
        assert.equal(
          view.placed.cpuMillis,
          placed.reduce((sum, { cpu }) => sum + cpu * 1000, 0),
        );
        for (const port of [80, 443]) {
          assert.equal(
            view.findPortHolder(`${port}/TCP`) !== undefined,
            placed.some((project) => project.port === port),
          );
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('roomEpoch moves when room may have come, and for nothing else', () => {
  const snapshot = new Snapshot();
  const moves = (act: () => unknown): boolean => {
    const before = snapshot.roomEpoch;
    act();
    return snapshot.roomEpoch !== before;
  };
  assert.equal(
    moves(() => snapshot.setNode(nodeOf('a', { version: 1 }))),
    true,
  );
  assert.equal(
    moves(() => snapshot.setNode(nodeOf('a', { version: 2 }))),
    false,
  );
  assert.equal(
    moves(() => snapshot.setNode(nodeOf('a', { version: 3, unschedulable: true }))),
    true,
  );
  assert.equal(
    moves(() => snapshot.setNode(nodeOf('a', { version: 4, unschedulable: true, labels: { gpu: '1' } }))),
    true,
  );
  assert.equal(
    moves(() => snapshot.setProject(boundOf('p', 'a', { version: 5 }))),
    false,
  );
  assert.equal(
    moves(() => snapshot.setProject(boundOf('p', 'a', { version: 6, status: { phase: 'Failed' } }))),
    false,
  );
  assert.equal(
    moves(() => snapshot.removeProject('p')),
    true,
  );
  assert.equal(
    moves(() => snapshot.removeNode('a')),
    true,
  );
});
