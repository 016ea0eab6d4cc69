import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EPOCH, type NodeOptions, type ProjectOptions, boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import type { DrainEntry } from '../../api/project/drain.ts';
import { NODE_STATES, type NodeObject } from '../../api/node.ts';
import { isLeaving } from '../../api/project/leaving.ts';
import { type ProjectObject, VOLUME_TYPES } from '../../api/project.ts';
import { deriveDemand } from '../scheduler/demand.ts';
import { compareProjectAge } from '../scheduler/pending-queue.ts';
import { Snapshot } from '../scheduler/snapshot.ts';
import { planDrain, reserveForTravellers } from './plan-drain.ts';

interface Fleet {
  readonly nodes: readonly NodeObject[];
  readonly projects: readonly ProjectObject[];
}

function plan({ nodes, projects }: Fleet, to?: string, from = 'n1'): { entries: readonly DrainEntry[]; snapshot: Snapshot } {
  const snapshot = new Snapshot();
  nodes.forEach((node) => snapshot.setNode(node));
  projects.forEach((project) => snapshot.setProject(project));
  reserveForTravellers(projects, snapshot);
  const here = projects.filter(({ status }) => status.nodeRef === from);
  const node = nodes.find(({ metadata }) => metadata.name === from);
  return { entries: planDrain({ node, projects: here, to }, snapshot), snapshot };
}

/** What becomes of a Project `shop` on n1, with n2 as given. */
function planShop(project: ProjectOptions, others: Readonly<Record<string, NodeOptions>> = { n2: {} }, n1: NodeOptions = {}): DrainEntry {
  const nodes = [nodeOf('n1', { unschedulable: true, ...n1 }), ...Object.entries(others).map(([name, options]) => nodeOf(name, options))];
  return plan({ nodes, projects: [boundOf('shop', 'n1', project)] }).entries[0] ?? assert.fail();
}

test('planDrain() moves what can run elsewhere, and says what becomes of Ephemeral volumes', () => {
  const message = 'is stopped first, then started there';
  assert.deepEqual(planShop({}), { project: 'shop', action: 'Move', to: 'n2', reason: 'Fits', message });
  const { message: withVolume } = planShop({ spec: { volumes: [{ name: 'cache' }] } });
  assert.equal(withVolume, `${message}; its Ephemeral volume cache starts empty`);
});

test('planDrain() says of each that cannot move why', () => {
  const keeps: readonly (readonly [DrainEntry, string, string])[] = [
    [
      planShop({ spec: { volumes: [{ name: 'data', type: 'Managed' }] } }),
      'ManagedVolume',
      'the data of its Managed volume data stays on n1',
    ],
    [
      planShop({ spec: { volumes: [{ name: 'src', type: 'HostPath', path: '/srv' }] } }),
      'HostPathVolume',
      'its HostPath volume src is a folder of n1',
    ],
    [
      planShop({ requests: { memory: '9Gi' } }, { n2: {}, n3: { unschedulable: true } }),
      'Unschedulable',
      '0/2 nodes are available: 1 is Draining, 1 lacks memory (9Gi asked, 8Gi free at most)',
    ],
    [planShop({}, {}), 'Unschedulable', 'there is no other node'],
    [
      planShop({}, { n2: {} }, { state: 'NotReady' }),
      'NodeNotReady',
      'node n1 is NotReady, its agent cannot confirm the stop: onNodeLost applies (Reschedule after 3m)',
    ],
  ];
  for (const [entry, reason, message] of keeps) {
    assert.deepEqual(entry, { project: 'shop', action: 'Keep', reason, message });
  }
});

test('planDrain() leaves alone what is being deleted, and names again what was asked before', () => {
  const ending = planShop({ status: { phase: 'Terminating' } });
  assert.deepEqual([ending.action, ending.reason], ['Wait', 'Terminating']);
  const status = { phase: 'Scheduled', move: { from: 'n1', requestedAt: EPOCH } } as const;
  const asked = planShop({ status });
  assert.deepEqual([asked.action, asked.reason, asked.to], ['Move', 'Moving', 'n2']);
  assert.deepEqual(planShop({ status }, {}).to, undefined);
  const silent = planShop({ status }, { n2: {} }, { state: 'NotReady' });
  assert.deepEqual([silent.action, silent.reason], ['Wait', 'NodeNotReady']);
});

test('planDrain() with a node named moves there or nowhere, and says why not there', () => {
  const nodes = [nodeOf('n1', { unschedulable: true }), nodeOf('n2'), nodeOf('n3', { allocatable: { memory: '1Gi', cpu: '4' } })];
  const fleet = { nodes, projects: [boundOf('shop', 'n1', { requests: { memory: '2Gi' } })] };
  assert.equal(plan(fleet, 'n2').entries[0]?.to, 'n2');
  assert.equal(plan(fleet, 'n3').entries[0]?.message, 'n3 lacks memory (2Gi asked, 1Gi free at most)');
  assert.equal(plan(fleet, 'n4').entries[0]?.message, 'there is no node n4');
});

test('planDrain() promises no room twice, also to those of another node that are on their way', () => {
  const nodes = [
    nodeOf('n1', { unschedulable: true }),
    nodeOf('n2', { allocatable: { cpu: '2', memory: '8Gi' } }),
    nodeOf('n0', { unschedulable: true }),
  ];
  const requests = { cpu: '1' };
  const move = { from: 'n0', requestedAt: EPOCH };
  const projects = [
    boundOf('b', 'n1', { requests }),
    boundOf('a', 'n1', { requests }),
    boundOf('early', 'n0', { requests, status: { phase: 'Scheduled', move } }),
  ];
  assert.deepEqual(
    plan({ nodes, projects }).entries.map(({ project, action }) => [project, action]),
    [
      ['a', 'Move'],
      ['b', 'Keep'],
    ],
  );
  assert.deepEqual(
    plan({ nodes, projects: projects.slice(0, 2) }).entries.map(({ action }) => action),
    ['Move', 'Move'],
  );
});

const nodeNames = ['n1', 'n2', 'n3'] as const;
const anyFleet = fc.record({
  nodes: fc.tuple(
    ...nodeNames.map((name) =>
      fc
        .record({ state: fc.constantFrom(...NODE_STATES), unschedulable: fc.boolean() })
        .map((options) => nodeOf(name, { ...options, allocatable: { cpu: '3', memory: '3Gi' } })),
    ),
  ),
  projects: fc
    .array(
      fc.record({
        cpu: fc.integer({ min: 0, max: 2 }),
        port: fc.constantFrom(80, 443, undefined),
        node: fc.constantFrom(...nodeNames, 'gone', undefined),
        isLeaving: fc.boolean(),
        isEnding: fc.boolean(),
        volume: fc.constantFrom(...VOLUME_TYPES, undefined, undefined),
        age: fc.nat(3),
      }),
      { maxLength: 8 },
    )
    .map((all) =>
      all.map(({ cpu, port, node, isLeaving: leaves, isEnding, volume, age }, index) => {
        const options = {
          requests: { cpu },
          hostPorts: port === undefined ? [] : [port],
          meta: { createdAt: `2026-01-01T00:00:0${age}.000Z` },
          ...(volume !== undefined && {
            spec: {
              services: [
                {
                  name: 'web',
                  image: 'w',
                  resources: { requests: { cpu } },
                  ports: port === undefined ? [] : [{ containerPort: 80, hostPort: port }],
                },
              ],
              volumes: [{ name: 'v', type: volume }],
            },
          }),
        };
        const name = `p${index}`;
        return node === undefined
          ? projectOf(name, options)
          : boundOf(name, node, {
              ...options,
              status: {
                phase: isEnding ? 'Terminating' : 'Running',
                ...(leaves && !isEnding && { move: { from: node, requestedAt: EPOCH } }),
              },
            });
      }),
    ),
  to: fc.constantFrom('n2', 'n9', undefined),
});

test('planDrain() keeps its laws for any fleet', () => {
  fc.assert(
    fc.property(anyFleet, ({ nodes, projects, to }) => {
      const { entries } = plan({ nodes, projects }, to);
      const here = projects.filter(({ status }) => status.nodeRef === 'n1');
      assert.deepEqual(
        entries.map(({ project }) => project),
        here.toSorted(compareProjectAge).map(({ metadata }) => metadata.name),
        'each Project of the node once, oldest first',
      );
      const isSilent = nodes[0]?.status.state === 'NotReady';
      for (const entry of entries) {
        const project = here.find(({ metadata }) => metadata.name === entry.project) ?? assert.fail();
        const isFresh = entry.reason === 'Fits';
        assert.notEqual(entry.to, 'n1');
        assert.ok(!isSilent || entry.action !== 'Move', 'nothing is asked to leave a silent node');
        assert.equal(entry.action === 'Move' && !isFresh, isLeaving(project) && !isSilent);
        if (isFresh) {
          const target = nodes.find(({ metadata }) => metadata.name === entry.to) ?? assert.fail();
          assert.ok(target.status.state === 'Ready' && !target.spec.unschedulable);
          assert.ok(to === undefined || entry.to === to);
          assert.ok(
            (project.spec.volumes ?? []).every(({ type }) => type === 'Ephemeral'),
            'no data is left behind',
          );
        }
      }
      checkRoom(nodes, projects, entries);
    }),
    { numRuns: 1000 },
  );
});

/** Counts naively: what is on a node and what is planned for it fit, unless what is there is too much already. */
function checkRoom(nodes: readonly NodeObject[], projects: readonly ProjectObject[], entries: readonly DrainEntry[]): void {
  for (const { metadata } of nodes) {
    const coming = entries.filter(({ to, reason }) => reason === 'Fits' && to === metadata.name).map(({ project }) => project);
    const there = projects.filter(({ status }) => status.nodeRef === metadata.name);
    const demands = [...there, ...projects.filter((project) => coming.includes(project.metadata.name))].map(({ spec }) =>
      deriveDemand(spec),
    );
    if (coming.length > 0) {
      const asked = coming.some(
        (name) => deriveDemand(projects.find((project) => project.metadata.name === name)?.spec ?? assert.fail()).amounts.cpuMillis > 0,
      );
      // those that leave are counted where they go, so their room here is free to be planned
      const going = there.filter(isLeaving).map(({ spec }) => deriveDemand(spec).amounts.cpuMillis);
      const sum = demands.reduce((total, { amounts }) => total + amounts.cpuMillis, 0) - going.reduce((total, millis) => total + millis, 0);
      assert.ok(!asked || sum <= 3000, `${metadata.name} would have ${sum}`);
    }
  }
}
