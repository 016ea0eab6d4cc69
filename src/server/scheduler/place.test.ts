import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NODE_STATES } from '../../api/node.ts';
import { boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import { deriveDemand } from './demand.ts';
import { explain } from './explain.ts';
import { findRefusal } from './filters.ts';
import { countRefusals, place } from './place.ts';
import { type NodeView, Snapshot } from './snapshot.ts';

const zone = fc.constantFrom('north', 'south');
const anyNode = fc.record({
  state: fc.constantFrom(...NODE_STATES),
  unschedulable: fc.boolean(),
  labels: fc.record({ zone }),
  allocatable: fc.record(
    { cpu: fc.integer({ min: 0, max: 4 }).map(String), memory: fc.integer({ min: 0, max: 1024 }).map((mebibytes) => `${mebibytes}Mi`) },
    { requiredKeys: [] },
  ),
});
const anyProject = fc.record({
  requests: fc.record(
    { cpu: fc.integer({ min: 0, max: 3000 }).map((millis) => `${millis}m`), memory: fc.constantFrom('0', '256Mi', '600Mi') },
    { requiredKeys: [] },
  ),
  hostPorts: fc.uniqueArray(fc.constantFrom(80, 443), { maxLength: 2 }),
  selector: fc.option(zone, { nil: undefined }),
});
/** Nodes n0, n1, …; Projects placed on some of them; the nodes that the Project to be placed has failed on. */
const anyFleet = fc.record({
  nodes: fc.array(anyNode, { maxLength: 8 }),
  placed: fc.array(fc.tuple(anyProject, fc.nat(7)), { maxLength: 8 }),
  asked: anyProject,
  failed: fc.subarray(['n0', 'n3']),
});
type Fleet = typeof anyFleet extends fc.Arbitrary<infer Value> ? Value : never;

function specOf({ requests, hostPorts, selector }: Fleet['asked']) {
  return projectOf('p', { requests, hostPorts, spec: selector === undefined ? {} : { nodeSelector: { zone: selector } } }).spec;
}

function viewsOf(fleet: Fleet): NodeView[] {
  const snapshot = new Snapshot();
  fleet.nodes.forEach((node, index) => snapshot.setNode(nodeOf(`n${index}`, node)));
  fleet.placed.forEach(([project, node], index) => snapshot.setProject(boundOf(`p${index}`, `n${node}`, { spec: specOf(project) })));
  return [...snapshot.nodes.values()];
}

function byName(views: readonly NodeView[]): ReadonlyMap<string, NodeView> {
  return new Map(views.map((view) => [view.name, view]));
}

test('place() never chooses a node that any filter refuses, and finds one when there is one', () => {
  fc.assert(
    fc.property(anyFleet, (fleet) => {
      const views = viewsOf(fleet);
      const demand = deriveDemand(specOf(fleet.asked), { failedNodes: fleet.failed });
      const { node } = place(byName(views), demand);
      assert.equal(
        node !== undefined,
        views.some((view) => isFree(view, fleet)),
      );
      assert.ok(node === undefined || isFree(node, fleet));
    }),
    { numRuns: 500 },
  );
});

/** The filters once more, naively. */
function isFree(view: NodeView, { asked, failed }: Fleet): boolean {
  const { cpuMillis, memoryBytes } = deriveDemand(specOf(asked)).amounts;
  const hasRoom = (wanted: number, allocatable: number | undefined, placed: number): boolean =>
    wanted === 0 || (allocatable !== undefined && placed + wanted <= allocatable);
  return (
    view.node.status.state === 'Ready' &&
    !view.node.spec.unschedulable &&
    !failed.includes(view.name) &&
    (asked.selector === undefined || view.node.metadata.labels['zone'] === asked.selector) &&
    hasRoom(cpuMillis, view.allocatable.cpuMillis, view.placed.cpuMillis) &&
    hasRoom(memoryBytes, view.allocatable.memoryBytes, view.placed.memoryBytes) &&
    asked.hostPorts.every((port) => view.findPortHolder(`${port}/TCP`) === undefined)
  );
}

test('place() gives the same answer whatever the order of the nodes', () => {
  fc.assert(
    fc.property(anyFleet, fc.infiniteStream(fc.nat()), (fleet, order) => {
      const views = viewsOf(fleet);
      const demand = deriveDemand(specOf(fleet.asked));
      const shuffled = views
        .map((view) => ({ view, rank: order.next().value }))
        .sort((left, right) => left.rank - right.rank)
        .map(({ view }) => view);
      const answer = (nodes: readonly NodeView[]): string => {
        const placement = place(byName(nodes), demand);
        return placement.node === undefined ? explain(placement.refusals, demand) : placement.node.name;
      };
      assert.equal(answer(shuffled), answer(views));
    }),
  );
});

test('countRefusals() counts each node that refuses once', () => {
  fc.assert(
    fc.property(anyFleet, (fleet) => {
      const views = viewsOf(fleet);
      const demand = deriveDemand(specOf(fleet.asked), { failedNodes: fleet.failed });
      const refusing = views.filter((view) => findRefusal(view, demand) !== undefined).length;
      assert.equal(
        countRefusals(byName(views), demand).reduce((sum, { count }) => sum + count, 0),
        refusing,
      );
    }),
  );
});

test('place() takes the least allocated node, then the one with fewest Projects, then the first by name', () => {
  const choose = (...projects: Parameters<Snapshot['setProject']>[0][]): string | undefined => {
    const snapshot = new Snapshot();
    for (const name of ['c', 'b', 'a']) {
      snapshot.setNode(nodeOf(name));
    }
    for (const project of projects) {
      snapshot.setProject(project);
    }
    return place(snapshot.nodes, deriveDemand(projectOf('new', { requests: { cpu: '100m' } }).spec)).node?.name;
  };
  assert.equal(choose(), 'a');
  assert.equal(choose(boundOf('x', 'a')), 'b');
  assert.equal(choose(boundOf('x', 'a'), boundOf('y', 'b', { requests: { memory: '1Gi' } })), 'c');
  const two = [boundOf('v', 'c'), boundOf('w', 'c')];
  assert.equal(choose(...two, boundOf('x', 'a', { requests: { cpu: '1' } }), boundOf('y', 'b', { requests: { memory: '1Gi' } })), 'c');
});

test('place() counts Terminating and Failed Projects as placed, and those on a node that was away', () => {
  const snapshot = new Snapshot();
  snapshot.setProject(boundOf('ending', 'a', { requests: { cpu: '2' }, status: { phase: 'Terminating' } }));
  snapshot.setProject(boundOf('failed', 'a', { requests: { cpu: '2' }, status: { phase: 'Failed' } }));
  snapshot.setNode(nodeOf('a'));
  const demand = deriveDemand(projectOf('new', { requests: { cpu: '1' } }).spec);
  assert.equal(place(snapshot.nodes, demand).node, undefined);
  snapshot.removeProject('ending');
  assert.equal(place(snapshot.nodes, demand).node?.name, 'a');
});
