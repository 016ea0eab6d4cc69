/** caractrl drain and caractrl move against a server; the test plays the agents. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import type { NodeObject } from '../../src/api/node.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { type ApiServer, startApiOn } from '../support/worlds/api.ts';
import { ctl, startCtl, type CtlOptions, type CtlResult } from '../support/worlds/ctl.ts';

const ROOM = { allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } };
const DB = { spec: { services: [{ name: 'db', image: 'db:1' }], volumes: [{ name: 'data', type: 'Managed' }] } };
const BIG = { spec: { services: [{ name: 'big', image: 'big:1', resources: { requests: { memory: '6Gi' } } }] } };
const TERMINAL = { columns: 140, rows: 40 };
const UNDO = 'It stays cordoned; to let Projects onto it again: caractrl uncordon worker-01';

type Api = ApiServer<Clock>;
type Projects = Readonly<Record<string, object>>;

/** Projects Running on worker-01; then worker-02 comes, with as much room as said. */
async function startFleet(projects: Projects = { shop: {} }, room = ROOM): Promise<Api> {
  const api = await startApiOn({ clock: systemClock, listen: true });
  await api.apply('Node', 'worker-01');
  await api.beat('worker-01', ROOM);
  for (const [name, rest] of Object.entries(projects)) {
    await api.apply('Project', name, rest);
    await seen(api, name, ({ nodeRef }) => nodeRef === 'worker-01');
    await report(api, name, { phase: 'Running', assignment: 1 });
  }
  await api.apply('Node', 'worker-02');
  await api.beat('worker-02', room);
  await found<NodeObject>(api, 'Node', ({ metadata, status }) => metadata.name === 'worker-02' && status.state === 'Ready');
  return api;
}

/** Waits until a Project is as said. */
async function seen(api: Api, name: string, isReached: (status: ProjectObject['status']) => boolean): Promise<void> {
  await found<ProjectObject>(api, 'Project', ({ metadata, status }) => metadata.name === name && isReached(status));
}

async function found<Item extends ProjectObject | NodeObject>(api: Api, kind: Item['kind'], isIt: (item: Item) => boolean): Promise<void> {
  const { items, version } = await api.store.list<Item>(kind);
  if (items.some(isIt)) {
    return;
  }
  for await (const item of api.store.watch<Item>(kind, version, AbortSignal.timeout(10_000))) {
    if (item.type !== 'BOOKMARK' && isIt(item.object)) {
      return;
    }
  }
  assert.fail(`No ${kind} was ever so`);
}

async function report(
  api: Api,
  name: string,
  said: { readonly phase: string; readonly assignment: number; readonly services?: object[] },
): Promise<void> {
  const { status } = await api.call('PATCH', `/projects/${name}/status`, { body: said });
  assert.equal(status, 204);
}

/** Its agent: tears a leaving Project down, and brings it up where it is bound next. */
async function playAgents(api: Api, name: string): Promise<void> {
  await seen(api, name, ({ move }) => move !== undefined);
  await report(api, name, { phase: 'Terminating', assignment: 1, services: [{ name: 'web', state: 'Stopping', ready: false }] });
  await report(api, name, { phase: 'Terminated', assignment: 1 });
  await seen(api, name, ({ assignment }) => assignment === 2);
  await report(api, name, { phase: 'Running', assignment: 2 });
}

function runner({ server }: Api, options: CtlOptions = {}): (line: string) => Promise<CtlResult> {
  return (line) => ctl(line.split(' '), { server: server.url, ...options });
}

describe('caractrl drain', () => {
  test('shows the plan and changes nothing with --dry-run', async () => {
    await using api = await startFleet({ shop: {}, db: DB, big: BIG }, { allocatable: { ...ROOM.allocatable, memory: '4Gi' } });
    const run = runner(api);
    const { code, stdout, stderr } = await run('drain worker-01 --dry-run');
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(
      stdout,
      `PROJECT   ACTION   TO          WHY
shop      Move     worker-02   is stopped first, then started there
db        Keep     -           the data of its Managed volume data stays on worker-01
big       Keep     -           0/1 nodes are available: 1 lacks memory (6Gi asked, 4Gi free at most)
`,
    );
    assert.equal((await api.node('worker-01')).spec.unschedulable, false);
    const plan = JSON.parse((await run('drain worker-01 --dry-run -o json')).stdout);
    assert.deepEqual(plan.projects[0], {
      project: 'shop',
      action: 'Move',
      to: 'worker-02',
      reason: 'Fits',
      message: 'is stopped first, then started there',
    });
    assert.equal((await run('drain worker-01 --dry-run -o name')).stdout, 'project/shop\n');
  });

  test('moves what can move, tells where each has gone, and ends when every stop is confirmed', async () => {
    await using api = await startFleet();
    const run = startCtl(['drain', 'node/worker-01', '--yes'], { server: api.server.url });
    await run.shows('project/shop leaving');
    await playAgents(api, 'shop');
    const result = await run.done;
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /\nproject\/shop moved to worker-02\nnode\/worker-01 drained\n$/u);
    assert.match(result.stderr, /^project\/shop leaving: Waiting for the agent on worker-01 to stop it\n/u);
    assert.ok(result.stderr.endsWith(`${UNDO}\n`));
    const again = await runner(api)('drain worker-01 --yes');
    assert.deepEqual([again.code, again.stdout], [0, 'No Projects are on worker-01\nnode/worker-01 drained\n']);
    assert.equal((await runner(api)('uncordon worker-01')).code, 0);
    assert.equal((await api.node('worker-01')).spec.unschedulable, false);
  });

  test('asks on a terminal, and takes nothing but yes for yes', async () => {
    await using api = await startFleet();
    const terminal = { server: api.server.url, terminal: TERMINAL };
    for (const stdin of ['\n', 'n\n', 'maybe\n']) {
      const { code, stderr } = await ctl(['drain', 'worker-01'], { ...terminal, stdin });
      assert.equal(code, 1);
      assert.match(stderr, /Drain worker-01: 1 of 1 Projects is stopped and moved\. Go on\? \(y\/N\) error: Nothing was changed\nhint: /u);
    }
    assert.equal((await api.node('worker-01')).spec.unschedulable, false);
    const [result] = await Promise.all([ctl(['drain', 'worker-01'], { ...terminal, stdin: 'y\n' }), playAgents(api, 'shop')]);
    assert.equal(result.code, 0, result.stderr);
  });

  test('does not guess where nobody can be asked', async () => {
    await using api = await startFleet();
    const piped = await runner(api)('drain worker-01 --to worker-02');
    const said = 'error: Cannot ask whether to go on as there is no terminal\nhint: caractrl drain worker-01 --to worker-02 --yes\n';
    assert.deepEqual(piped, { code: 2, stdout: '', stderr: said });
    const closed = await runner(api, { terminal: TERMINAL, stdin: '' })('drain worker-01');
    assert.equal(closed.code, 2);
    assert.equal((await api.node('worker-01')).spec.unschedulable, false);
  });

  test('exits 1 with what cannot move, why and what would help, and the node stays cordoned', async () => {
    await using api = await startFleet({ shop: {}, db: DB });
    const [result] = await Promise.all([runner(api)('drain worker-01 --yes'), playAgents(api, 'shop')]);
    assert.equal(result.code, 1);
    assert.match(result.stdout, /project\/shop moved to worker-02\n$/u);
    const said = `error: Cannot empty node "worker-01" as 1 of 2 Projects is not confirmed to have left it
  db: the data of its Managed volume data stays on worker-01; to stop it and leave the data: caractrl delete project db
hint: ${UNDO}
`;
    assert.ok(result.stderr.endsWith(said), result.stderr);
    assert.equal((await api.node('worker-01')).status.state, 'Draining');
  });

  test('exits 1 at its deadline with what has not left, and the drain goes on', async () => {
    await using api = await startFleet();
    const result = await runner(api)('drain worker-01 --yes --timeout 300ms');
    assert.equal(result.code, 1);
    assert.match(
      result.stderr,
      /error: Cannot empty node "worker-01" as 1 of 1 Projects is not confirmed to have left it after 300ms\n {2}shop: Waiting for the agent on worker-01 to stop it; the drain goes on, look with: caractrl describe project shop\n/u,
    );
    await playAgents(api, 'shop');
    assert.equal((await runner(api)('get projects shop -o name')).stdout, 'project/shop\n');
  });

  test('Ctrl-C stops the wait alone, and says so', async () => {
    await using api = await startFleet();
    const run = startCtl(['drain', 'worker-01', '--yes'], { server: api.server.url });
    await run.shows('project/shop leaving');
    run.interrupt();
    const { code, stderr } = await run.done;
    assert.equal(code, 130);
    assert.ok(stderr.endsWith(`Stopped waiting; the drain of worker-01 goes on at the server. ${UNDO}\n`), stderr);
    await playAgents(api, 'shop');
  });

  test('does not take a Project that was deleted, or given up with its node, for one that was stopped', async () => {
    await using api = await startFleet({ shop: {}, inn: {} });
    const run = startCtl(['drain', 'worker-01', '--yes'], { server: api.server.url });
    await run.shows('project/shop leaving');
    await api.call('DELETE', '/projects/shop?force=true');
    await run.shows('project/shop is gone');
    const inn = (await api.store.get<ProjectObject>('Project', 'inn')) ?? assert.fail();
    const { nodeRef: _node, move: _move, ...status } = inn.status;
    const object: ProjectObject = { ...inn, status: { ...status, phase: 'Pending', reason: 'NodeLost', conditions: [] } };
    await api.store.commit([{ op: 'update', object, expectedVersion: inn.metadata.resourceVersion }]);
    const { code, stderr } = await run.done;
    assert.equal(code, 1);
    assert.match(stderr, /inn: it was .* without the word of the agent on worker-01: make sure that it is stopped there/u);
  });

  test('names one node, and says what is wrong with any other line', async () => {
    await using api = await startFleet();
    const run = runner(api);
    assert.match((await run('drain')).stderr, /^error: Cannot tell which node to drain/u);
    assert.match((await run('drain a b')).stderr, /^error: Cannot drain several nodes at once/u);
    assert.match((await run('drain project/shop --yes')).stderr, /only nodes can be drained/u);
    const unknown = await run('drain worker-09 --yes');
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'error: Cannot drain node "worker-09" as there is none of that name\n']);
    assert.match(
      (await run('drain worker-01 --to worker-09 --yes')).stderr,
      /^error: Cannot move to node "worker-09" as there is none of that name\n$/u,
    );
    assert.match((await run('drain worker-01 --yes --timeout soon')).stderr, /Cannot use the duration "soon"/u);
  });
});

describe('caractrl move', () => {
  test('moves one Project and waits until it runs there', async () => {
    await using api = await startFleet();
    const [result] = await Promise.all([runner(api)('move project/shop --to worker-02'), playAgents(api, 'shop')]);
    assert.deepEqual(
      [result.code, result.stdout],
      [0, 'project/shop moved to worker-02\nproject/shop Running on worker-02\n'],
      result.stderr,
    );
    assert.equal((await api.node('worker-01')).spec.unschedulable, false);
  });

  test('says why one cannot move, and what is wrong with a line', async () => {
    await using api = await startFleet({ db: DB });
    const run = runner(api);
    const refused = await run('move db');
    assert.deepEqual(
      [refused.code, refused.stderr],
      [
        1,
        'error: Cannot move project "db" as the data of its Managed volume data stays on worker-01\n' +
          'hint: to run it elsewhere without what is there: caractrl delete project db, then apply it with another nodeSelector; its data stays\n',
      ],
    );
    assert.match((await run('move')).stderr, /^error: Cannot tell which Project to move/u);
    assert.match((await run('move node/worker-01')).stderr, /only Projects can be moved/u);
    assert.match((await run('move a b c')).stderr, /several Projects/u);
  });

  test('with --wait=false only asks', async () => {
    await using api = await startFleet();
    assert.deepEqual(await runner(api)('move shop --wait=false'), { code: 0, stdout: 'project/shop is being moved\n', stderr: '' });
    await playAgents(api, 'shop');
  });
});
