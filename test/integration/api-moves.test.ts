/** Draining a node and moving a Project, as HTTP has it. The test plays the agents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DrainEntry } from '../../src/api/project/drain.ts';
import { type ApiServer, startApi } from '../support/worlds/api.ts';
import type { VirtualClock } from '../support/time/virtual-clock.ts';

type Api = ApiServer<VirtualClock>;
const ROOM = { allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } };
const DB = { spec: { services: [{ name: 'db', image: 'db:1' }], volumes: [{ name: 'data', type: 'Managed' }] } };

/** shop (movable) and db (not) Running on worker-01; worker-02 has room. */
async function startFleet(): Promise<Api> {
  const api = await startApi();
  await api.apply('Node', 'worker-01', { metadata: { labels: { zone: 'north' } }, spec: { hostname: 'one' } });
  await api.beat('worker-01', ROOM);
  for (const [name, rest] of [
    ['shop', {}],
    ['db', DB],
  ] as const) {
    await api.apply('Project', name, rest);
    await until(api, async () => (await statusOf(api, name)).nodeRef === 'worker-01');
    await api.call('PATCH', `/projects/${name}/status`, { body: { phase: 'Running', assignment: 1 } });
  }
  await api.apply('Node', 'worker-02');
  await api.beat('worker-02', ROOM);
  await until(api, async () => (await api.node('worker-02')).status.state === 'Ready');
  return api;
}

async function until({ clock }: Api, isReached: () => Promise<boolean>): Promise<void> {
  await clock.advanceUntil(isReached, 10_000);
}

async function statusOf(api: Api, project: string) {
  return (await api.call('GET', `/projects/${project}`)).body.status;
}

function actionsOf(projects: readonly DrainEntry[]): readonly string[] {
  return projects.map(({ project, action, reason }) => `${project} ${action} ${reason}`);
}

test('POST /nodes/{name}/drain plans, then cordons and asks; the Project goes on elsewhere when its agent has confirmed', async () => {
  await using api = await startFleet();
  const planned = await api.call('POST', '/nodes/worker-01/drain', { body: { dryRun: true } });
  assert.equal(planned.status, 200);
  assert.deepEqual(actionsOf(planned.body.projects), ['shop Move Fits', 'db Keep ManagedVolume']);
  assert.equal((await api.node('worker-01')).spec.unschedulable, false);

  const drained = await api.call('POST', '/nodes/worker-01/drain');
  assert.deepEqual(drained.body, planned.body);
  const node = await api.node('worker-01');
  assert.deepEqual([node.status.state, node.spec.unschedulable, node.spec.hostname], ['Draining', true, 'one']);
  assert.equal(node.metadata.labels['zone'], 'north');
  const leaving = await statusOf(api, 'shop');
  assert.deepEqual([leaving.phase, leaving.reason, leaving.nodeRef, leaving.move.from], ['Scheduled', 'Moving', 'worker-01', 'worker-01']);
  assert.equal((await statusOf(api, 'db')).phase, 'Running');

  const confirmed = await api.call('PATCH', '/projects/shop/status', { body: { phase: 'Terminated', assignment: 1 } });
  assert.equal(confirmed.status, 204);
  await until(api, async () => (await statusOf(api, 'shop')).nodeRef === 'worker-02');
  const moved = await statusOf(api, 'shop');
  assert.deepEqual([moved.assignment, moved.move], [2, undefined]);
  assert.deepEqual(actionsOf((await api.call('POST', '/nodes/worker-01/drain')).body.projects), ['db Keep ManagedVolume']);
});

test('POST /projects/{name}/move asks one, to a node that is named', async () => {
  await using api = await startFleet();
  const { status, body } = await api.call('POST', '/projects/shop/move', { body: { to: 'worker-02' } });
  assert.equal(status, 200);
  assert.deepEqual([body.node, body.projects[0].to], ['worker-01', 'worker-02']);
  assert.equal((await statusOf(api, 'shop')).move.to, 'worker-02');
  assert.equal((await api.node('worker-01')).spec.unschedulable, false);
});

test('what cannot be is refused in the documented form, and changes nothing', async () => {
  await using api = await startFleet();
  const refused: readonly (readonly [string, unknown, number, string, RegExp])[] = [
    ['/nodes/worker-09/drain', {}, 404, 'NotFound', /^Cannot drain node "worker-09"/u],
    ['/nodes/worker-01/drain', { to: 'worker-01' }, 400, 'Invalid', /another node/u],
    ['/nodes/worker-01/drain', { to: 'worker-09' }, 400, 'Invalid', /there is none of that name/u],
    ['/nodes/worker-01/drain', { to: 'No Name' }, 400, 'Invalid', /DNS subdomain/u],
    ['/nodes/worker-01/drain', { force: true }, 400, 'Invalid', /force/u],
    ['/nodes/worker-01/drain', { dryRun: 'yes' }, 400, 'Invalid', /dryRun/u],
    ['/nodes/worker-01/drain', [], 400, 'Invalid', /request to move/u],
    ['/nodes/worker-01/drain', '{', 400, 'Invalid', /JSON/u],
    ['/projects/inn/move', {}, 404, 'NotFound', /^Cannot find project "inn"/u],
    ['/projects/db/move', {}, 409, 'Immovable', /^Cannot move project "db" as the data of its Managed volume data stays on worker-01/u],
    ['/projects/shop/move', { to: 'worker-01' }, 400, 'Invalid', /another node/u],
  ];
  const version = await api.store.version();
  for (const [path, body, status, reason, detail] of refused) {
    const answer = await api.call('POST', path, { body });
    assert.deepEqual([answer.status, answer.body.reason], [status, reason], `${path} ${JSON.stringify(body)}`);
    assert.match(`${answer.body.detail} ${JSON.stringify(answer.body.errors)}`, detail);
  }
  assert.equal((await api.call('GET', '/nodes/worker-01/drain')).status, 405);
  assert.equal((await api.call('POST', '/nodes/worker-01/drain', { body: 'a=b', type: 'text/plain' })).status, 415);
  assert.equal(await api.store.version(), version);
});

test('no client can forge or clear a move', async () => {
  await using api = await startFleet();
  await api.apply('Project', 'shop', { status: { move: { from: 'worker-01', requestedAt: '2026-01-01T00:00:00Z' } } });
  assert.equal((await statusOf(api, 'shop')).move, undefined);
  await api.call('POST', '/projects/shop/move');
  await api.apply('Project', 'shop', { metadata: { labels: { a: 'b' } }, status: {} });
  assert.equal((await statusOf(api, 'shop')).move.from, 'worker-01');
});

test('a node that is empty by the word of its agents is told to be Drained, and one that was empty when asked too', async () => {
  await using api = await startApi();
  await api.apply('Node', 'worker-01');
  await api.beat('worker-01', ROOM);
  await api.apply('Project', 'shop');
  await until(api, async () => (await statusOf(api, 'shop')).nodeRef === 'worker-01');
  await api.apply('Node', 'worker-02');
  const drainedOf = async (node: string): Promise<readonly string[]> => {
    const { items } = (await api.call('GET', `/events?object=Node/${node}`)).body as {
      items: readonly { reason: string; message: string }[];
    };
    return items.filter(({ reason }) => reason === 'Drained').map(({ message }) => message);
  };
  await api.call('POST', '/nodes/worker-02/drain');
  await until(api, async () => (await drainedOf('worker-02')).length === 1);
  await api.call('PATCH', '/nodes/worker-02', { body: { spec: { unschedulable: false } }, type: 'application/merge-patch+json' });
  await api.beat('worker-02', ROOM);
  await until(api, async () => (await api.node('worker-02')).status.state === 'Ready');
  await api.call('POST', '/nodes/worker-01/drain');
  await api.clock.advance(5000);
  assert.deepEqual(await drainedOf('worker-01'), []);
  await api.call('PATCH', '/projects/shop/status', { body: { phase: 'Terminated', assignment: 1 } });
  await until(api, async () => (await drainedOf('worker-01')).length === 1);
  assert.deepEqual(await drainedOf('worker-01'), ['The last Project on it, shop, has left it; it stays cordoned']);
});
