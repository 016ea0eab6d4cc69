import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProjectOptions, boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { deriveDemand } from './demand.ts';
import { explain } from './explain.ts';
import { countRefusals } from './place.ts';
import { Snapshot } from './snapshot.ts';

function explained(nodes: readonly NodeObject[], asked: ProjectOptions, placed: readonly ProjectObject[] = []): string {
  const snapshot = new Snapshot();
  nodes.forEach((node) => snapshot.setNode(node));
  placed.forEach((project) => snapshot.setProject(project));
  const demand = deriveDemand(projectOf('new', asked).spec);
  return explain(countRefusals(snapshot.nodes, demand), demand);
}

function times(count: number, node: (name: string) => NodeObject): NodeObject[] {
  return Array.from({ length: count }, () => node(`n${(names += 1)}`));
}
let names = 0;

test('explain() counts every refusal, in the order of the contract’s example', () => {
  const labels = { zone: 'north' };
  const nodes = [
    ...times(3, (name) => nodeOf(name, { state: 'Draining', labels })),
    ...times(5, (name) => nodeOf(name, { labels, allocatable: { memory: '300Mi' } })),
    ...times(4, (name) => nodeOf(name)),
  ];
  assert.equal(
    explained(nodes, { requests: { memory: '512Mi' }, spec: { nodeSelector: labels } }),
    '0/12 nodes are available: 3 are Draining, 5 lack memory (512Mi asked, 300Mi free at most), 4 do not match nodeSelector',
  );
});

test('explain() speaks of one node in the singular, and says who has its host port', () => {
  const shop = boundOf('shop', 'a', { hostPorts: [80] });
  assert.equal(explained([nodeOf('a')], { hostPorts: [80] }, [shop]), '0/1 nodes are available: 1 has host port 80/TCP taken by shop');
  assert.equal(explained([nodeOf('a', { state: 'NotReady' })], {}), '0/1 nodes are available: 1 is NotReady');
  assert.equal(explained([nodeOf('a', { unschedulable: true })], {}), '0/1 nodes are available: 1 is Draining');
  assert.equal(
    explained([nodeOf('a', { allocatable: { cpu: '2' } })], { requests: { cpu: '500m', memory: '1Gi' } }),
    '0/1 nodes are available: 1 does not report memory',
  );
  assert.equal(
    explained([nodeOf('a')], { requests: { cpu: '2500m' } }, [boundOf('shop', 'a', { requests: { cpu: 2 } })]),
    '0/1 nodes are available: 1 lacks cpu (2500m asked, 2 free at most)',
  );
});

test('explain() names each host port by itself', () => {
  const nodes = [nodeOf('a'), nodeOf('b'), nodeOf('c')];
  const placed = [boundOf('x', 'a', { hostPorts: [443] }), boundOf('y', 'b', { hostPorts: [80] }), boundOf('z', 'c', { hostPorts: [80] })];
  assert.equal(
    explained(nodes, { hostPorts: [80, 443] }, placed),
    '0/3 nodes are available: 2 have host port 80/TCP taken, 1 has host port 443/TCP taken by x',
  );
});

test('explain() never says that more is free than there is', () => {
  const bytes = 512 * 2 ** 20 - 1;
  assert.equal(
    explained([nodeOf('a', { allocatable: { memory: bytes } })], { requests: { memory: '512Mi' } }),
    '0/1 nodes are available: 1 lacks memory (512Mi asked, 511Mi free at most)',
  );
});

test('explain() tells what to do where there is no node at all', () => {
  assert.equal(explained([], {}), 'no nodes are registered: start cara-agent on a machine');
});
