import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../scripts/lib/wait.ts';
import { systemClock } from '../../src/base/clock.ts';
import { DRAIN_YAML, NODE_YAML } from '../seed/promises.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { ctl, startCtl, type CtlResult } from '../support/worlds/ctl.ts';
import { makeScratch } from '../support/scratch.ts';

function startServer(): Promise<ApiServer> {
  return startApiOn({ clock: systemClock, listen: true });
}

function runner({ server }: ApiServer): (line: string, stdin?: string) => Promise<CtlResult> {
  return (line, stdin) => ctl(line.split(' '), { server: server.url, ...(stdin !== undefined && { stdin }) });
}

describe('caractrl with nodes', () => {
  test("the guide's manifests and tables: create, change, drain, delete", async () => {
    await using api = await startServer();
    using folder = makeScratch();
    const run = runner(api);
    const node = join(folder.path, 'node.yaml');
    writeFileSync(node, NODE_YAML);
    assert.deepEqual(await run(`apply -f ${node}`), { code: 0, stdout: 'node/worker-01 created\n', stderr: '' });
    assert.equal((await run(`apply -f ${node}`)).stdout, 'node/worker-01 unchanged\n');
    assert.match((await run('get nodes')).stdout, /^NAME {8}STATE {6}CONDITIONS {4}AGE\nworker-01 {3}NotReady {3}NoHeartbeat {3}\d+s\n$/u);
    await api.beat('worker-01', {});
    await untilShown(run, 'get nodes worker-01', /^worker-01 +Ready +Healthy +\d+s$/mu);
    assert.equal((await run('apply -f -', DRAIN_YAML)).stdout, 'node/worker-01 configured\n');
    await untilShown(run, 'get nodes', /^worker-01 +Draining +Unschedulable +\d+s$/mu);
    const object = JSON.parse((await run('--output json get nodes worker-01')).stdout);
    assert.equal(object.spec.hostname, 'worker-01.local');
    assert.equal(object.metadata.labels['caravanserai.io/zone'], 'ed312');
    assert.deepEqual(JSON.parse((await run('get nodes worker-01 -o json')).stdout).metadata.uid, object.metadata.uid);
    assert.deepEqual(await run('delete node worker-01'), { code: 0, stdout: 'node/worker-01 deleted\n', stderr: '' });
    assert.deepEqual(await run('get nodes'), { code: 0, stdout: '', stderr: 'No nodes found\n' });
  });

  test('get knows singular, plural, short and TYPE/NAME, lists, selectors and all output formats', async () => {
    await using api = await startServer();
    const run = runner(api);
    await api.apply('Node', 'b', { metadata: { labels: { zone: 'x' } } });
    await api.apply('Node', 'a');
    for (const words of ['node', 'nodes', 'no', 'NODES', 'node a b', 'node/a no/b', 'nodes --output name']) {
      const { stdout } = await run(`get ${words}${words.includes('output') ? '' : ' -o name'}`);
      assert.equal(stdout, 'node/a\nnode/b\n', words);
    }
    assert.equal((await run('get nodes -l zone=x -o name')).stdout, 'node/b\n');
    assert.equal((await run('get all -o name')).stdout, 'node/a\nnode/b\n');
    assert.equal(JSON.parse((await run('get nodes -o json')).stdout).kind, 'NodeList');
    assert.match((await run('get nodes a -o yaml')).stdout, /^apiVersion: caravanserai\/v1\nkind: Node\n/u);
    assert.match((await run('get nodes -o wide')).stdout, /^NAME .* HOSTNAME .* HEARTBEAT\n/u);
    assert.match((await run('get nodes,projects')).stderr, /^No projects found\n$/u);
  });

  test('a name that is not there is said in one line, with exit code 1, and the others are still shown', async () => {
    await using api = await startServer();
    const run = runner(api);
    await api.apply('Node', 'a');
    assert.deepEqual(await run('get node x'), { code: 1, stdout: '', stderr: 'error: node "x" not found\n' });
    const mixed = await run('get node x a -o name');
    assert.deepEqual([mixed.code, mixed.stdout], [1, 'node/a\n']);
    assert.equal(JSON.parse((await run('-o json get node x')).stderr).reason, 'NotFound');
    assert.equal((await run('describe node x')).stderr, 'error: node "x" not found\n');
    assert.equal((await run('delete node x')).code, 1);
    assert.deepEqual(await run('delete node x --ignore-not-found'), { code: 0, stdout: '', stderr: '' });
  });

  test('cordon, uncordon, label and annotate change what they say and say when nothing changed', async () => {
    await using api = await startServer();
    const run = runner(api);
    await api.apply('Node', 'a', { metadata: { labels: { old: 'x' } } });
    assert.equal((await run('cordon a')).stdout, 'node/a cordoned\n');
    assert.equal((await run('cordon node/a')).stdout, 'node/a already cordoned\n');
    assert.equal((await run('uncordon node a')).stdout, 'node/a uncordoned\n');
    assert.equal((await run('label node a zone=ed312 old-')).stdout, 'node/a labeled\n');
    assert.equal((await run('label node/a zone=ed312 old-')).stdout, 'node/a unchanged\n');
    assert.equal((await run('annotate node a example.org/owner=Ada')).stdout, 'node/a annotated\n');
    const { metadata, spec } = await api.node('a');
    assert.deepEqual(
      [metadata.labels, metadata.annotations, spec.unschedulable],
      [{ zone: 'ed312' }, { 'example.org/owner': 'Ada' }, false],
    );
    const refused = await run('label node a zone=not,legal');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^error: Cannot use the value "not,legal" of zone as it must be a label value/u);
  });

  test('describe shows conditions with ages, resources and what is on the node', async () => {
    await using api = await startServer();
    const run = runner(api);
    await api.apply('Node', 'a');
    await api.beat('a', {
      capacity: { cpu: '4', memory: '8Gi' },
      allocatable: { cpu: '3800m', memory: '7936Mi' },
      network: { ip: '100.64.0.5' },
    });
    await api.apply('Project', 'shop');
    await untilShown(run, 'describe node a', /Projects on it:\n {2}NAME.*\n {2}shop +Scheduled/u);
    const { stdout } = await run('describe node a');
    assert.match(stdout, /^State: +Ready \(Healthy\)$/mu);
    assert.match(stdout, /^ {2}memory +8Gi +7936Mi +0 +7\.8Gi +0%$/mu);
    assert.match(stdout, /^ {2}Ready +True +\w+ +\d+s /mu);
    const deleted = await run('delete node a');
    assert.equal(deleted.stdout, 'node/a deleted\n');
    assert.match(deleted.stderr, /^warning: node\/a still has a Project: shop \(Scheduled\)\n.*NodeLost/su);
  });

  test('get --show-labels has a column of them, --no-headers no first line, also with --watch', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    await api.apply('Node', 'worker-01', { metadata: { labels: { zone: 'a', arch: 'arm64' } } });
    await api.apply('Node', 'worker-02');
    const run = async (line: string) => (await ctl(line.split(' '), { server: api.server.url })).stdout;
    assert.match(await run('get nodes --show-labels'), /^NAME .* LABELS\nworker-01 .* arch=arm64,zone=a\nworker-02 .* -\n$/u);
    assert.match(await run('get nodes --no-headers'), /^worker-01 .*\nworker-02 .*\n$/u);
    const watch = startCtl(['get', 'nodes', '-w', '--show-labels', '--no-headers'], { server: api.server.url });
    await watch.shows('worker-02');
    await ctl(['label', 'node', 'worker-02', 'zone=b'], { server: api.server.url });
    await watch.shows('zone=b');
    watch.interrupt();
    assert.match((await watch.done).stdout, /^worker-01 .* arch=arm64,zone=a\nworker-02 .* -\nworker-02 .* zone=b\n$/u);
  });

  test('get servers names the address that the only server has, with the port that it took', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    const { stdout } = await ctl(['get', 'servers'], { server: api.server.url });
    assert.match(stdout, new RegExp(`^NAME .*\n\\S+ +Leader +${api.server.url.replaceAll('.', '\\.')} `, 'u'));
  });

  test('get --watch shows what is there, then each change, until it is interrupted', async () => {
    await using api = await startServer();
    await api.apply('Node', 'a');
    const watch = startCtl(['get', 'nodes', '--watch'], { server: api.server.url });
    await watch.shows('NoHeartbeat');
    await api.beat('a', {});
    await watch.shows('Healthy');
    await api.call('DELETE', '/nodes/a');
    await watch.shows('Deleted');
    watch.interrupt();
    const { code, stdout } = await watch.done;
    assert.equal(code, 130);
    assert.deepEqual(
      stdout.split('\n').map((line) => line.split(/ +/u)[1]),
      ['STATE', 'NotReady', 'Ready', 'Deleted', undefined],
    );
  });

  test('get --watch prints no row twice for a change that no column shows, and one that -o wide shows there', async () => {
    await using api = await startServer();
    await api.apply('Node', 'a');
    const watches = [[], ['-o', 'wide']].map((flags) => startCtl(['get', 'nodes', '--watch', ...flags], { server: api.server.url }));
    await Promise.all(watches.map((watch) => watch.shows('NoHeartbeat')));
    await runner(api)('label node a zone=ed312');
    await api.call('PATCH', '/nodes/a', { body: { spec: { hostname: 'machine-7' } }, type: 'application/merge-patch+json' });
    await api.call('DELETE', '/nodes/a');
    const states = await Promise.all(
      watches.map(async (watch) => {
        await watch.shows('Deleted');
        watch.interrupt();
        return (await watch.done).stdout.split('\n').map((line) => line.split(/ +/u)[1]);
      }),
    );
    assert.deepEqual(states, [
      ['STATE', 'NotReady', 'Deleted', undefined],
      ['STATE', 'NotReady', 'NotReady', 'Deleted', undefined],
    ]);
  });

  test('text from the server cannot steer the terminal', async () => {
    await using api = await startServer();
    const run = runner(api);
    await api.apply('Node', 'a', { spec: { hostname: '\u001B[31mred' } });
    assert.ok(!(await run('get nodes -o wide')).stdout.includes('\u001B'));
    assert.match((await run('describe node a')).stdout, /\\x1b\[31mred/u);
  });
});

/** The state of a node follows its beat within milliseconds, not at once. */
async function untilShown(run: (line: string) => Promise<CtlResult>, line: string, pattern: RegExp): Promise<void> {
  let shown = '';
  const isShown = async (): Promise<boolean> => pattern.test((shown = (await run(line)).stdout));
  await until(isShown, { what: `${line} to show ${pattern.source}`, timeoutMs: 60_000 }).catch((error: unknown) =>
    assert.fail(`${String(error)}, not:\n${shown}`),
  );
}
