import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { ServiceStatus } from '../../src/api/project.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { ServerConfig } from '../../src/server/config.ts';
import { until } from '../../scripts/lib/wait.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { ctl, startCtl } from '../support/worlds/ctl.ts';

const SHOP = `apiVersion: caravanserai/v1
kind: Project
metadata: { name: shop }
spec:
  services:
    - { name: db, image: postgres:17 }
    - { name: web, image: shop/web:3, ports: [{ containerPort: 8080, hostPort: 80 }], dependsOn: [{ service: db }] }
`;

/** With a Secret that both services take, which is all that changes from one apply to the next. */
const withPassword = (password: string): string =>
  `${SHOP.replaceAll(/image: ([^ ,]+)/gu, 'image: $1, envFrom: [{ secretRef: { name: shop } }]')}---
apiVersion: caravanserai/v1
kind: Secret
metadata: { name: shop }
stringData: { password: ${password} }
`;

const RUNNING = [
  { name: 'db', state: 'Running' },
  { name: 'web', state: 'Running' },
] as const;

async function startWithNode(config: Partial<ServerConfig> = {}): Promise<ApiServer> {
  const api = await startApiOn({ clock: systemClock, listen: true, config });
  await api.apply('Node', 'worker-01');
  await api.beat('worker-01', { allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } });
  return api;
}

/** What the agent of the node says. */
async function report(api: ApiServer, phase: string, services: readonly Partial<ServiceStatus>[], rest: object = {}): Promise<void> {
  const { metadata, status } = (await api.call('GET', '/projects/shop')).body;
  const body = {
    phase,
    assignment: status.assignment,
    uid: metadata.uid,
    observedGeneration: metadata.generation,
    services: services.map((service) => ({ ready: service.state === 'Running', ...service })),
    ...rest,
  };
  assert.equal((await api.call('PATCH', '/projects/shop/status', { body, type: 'application/merge-patch+json' })).status, 204);
}

function applyAndWait(api: ApiServer, manifest: string, ...flags: readonly string[]) {
  return startCtl(['apply', '-f', '-', '--wait', ...flags], { server: api.server.url, stdin: manifest });
}

describe('caractrl with Projects', () => {
  test('apply --wait shows each step and ends when the Project runs', async () => {
    await using api = await startWithNode();
    const apply = applyAndWait(api, SHOP);
    await apply.shows('project/shop Scheduled on worker-01');
    await report(api, 'Scheduled', [
      { name: 'db', state: 'Pulling' },
      { name: 'web', state: 'Waiting', message: 'for db' },
    ]);
    await apply.shows('project/shop web: Waiting: for db');
    await report(api, 'Running', RUNNING);
    const { code, stdout, stderr } = await apply.done;
    assert.equal(code, 0);
    assert.match(stdout, /^project\/shop created\nproject\/shop running on worker-01 \(2 services, after \d+\.\d s\)\n$/u);
    assert.match(stderr, /project\/shop db: Pulling\n/u);
  });

  test('apply --wait does not take what runs with an old Secret for what was applied, nor does the status say so', async () => {
    await using api = await startWithNode();
    const first = applyAndWait(api, withPassword('one'));
    await first.shows('Scheduled on worker-01');
    await report(api, 'Running', RUNNING);
    assert.equal((await first.done).code, 0);
    const second = applyAndWait(api, withPassword('two'));
    await second.shows('project/shop Scheduled on worker-01');
    const { status } = (await api.call('GET', '/projects/shop')).body;
    assert.deepEqual([status.phase, status.reason], ['Scheduled', 'Updating']);
    assert.match(status.message, /^Waiting for the agent to take up what changed in its Secrets$/u);
    const before = status.secretsRevision - 1; // sent before the agent heard of the change
    await report(api, 'Failed', RUNNING, { secretsRevision: before, reason: 'RolledBack', message: 'Generation 1 was rolled back' });
    await report(api, 'Running', RUNNING, { secretsRevision: before });
    await second.shows('project/shop Scheduled on worker-01');
    await report(api, 'Failed', [{ name: 'web', state: 'Failed' }], { reason: 'CrashLoop', message: 'web: it keeps crashing' });
    const { code, stdout, stderr } = await second.done;
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^secret\/shop configured\nproject\/shop unchanged\n$/u);
    assert.match(stderr, /error: Cannot bring up project "shop" as it is Failed: CrashLoop/u);
    await report(api, 'Running', RUNNING);
    assert.equal((await applyAndWait(api, withPassword('two')).done).code, 0, 'the same again changes nothing');
  });

  test('apply --wait does not take the Running of the spec before for the one that was applied', async () => {
    await using api = await startWithNode();
    await ctl(['apply', '-f', '-'], { server: api.server.url, stdin: SHOP });
    const first = applyAndWait(api, SHOP);
    await first.shows('Scheduled on worker-01');
    await report(api, 'Running', RUNNING);
    assert.equal((await first.done).code, 0);
    const second = applyAndWait(api, SHOP.replace('shop/web:3', 'shop/web:4'));
    await second.shows('project/shop Scheduled on worker-01');
    await report(api, 'Running', RUNNING);
    assert.match((await second.done).stdout, /^project\/shop configured\nproject\/shop running /u);
  });

  test('apply --wait ends with the reason, the message and where to look when the Project fails', async () => {
    await using api = await startWithNode();
    const apply = applyAndWait(api, SHOP);
    await apply.shows('Scheduled on worker-01');
    const message = 'no such image shop/web:3';
    await report(api, 'Failed', [{ name: 'web', state: 'Failed', message }], { reason: 'ImagePullFailed', message: `web: ${message}` });
    const { code, stderr } = await apply.done;
    assert.equal(code, 1);
    assert.match(stderr, /\nproject\/shop Failed on worker-01: ImagePullFailed\nproject\/shop web: Failed\n/u);
    assert.equal(stderr.split(message).length - 1, 1, stderr);
    assert.match(stderr, /\nerror: Cannot bring up project "shop" as it is Failed: ImagePullFailed: web: no such image shop\/web:3\n/u);
    assert.match(stderr, /\nhint: caractrl describe project shop\n$/u);
  });

  test('apply --wait says why nothing fits, goes on waiting, and ends at its timeout with that cause', async () => {
    await using api = await startWithNode();
    const { code, stdout, stderr } = await applyAndWait(
      api,
      SHOP.replace('spec:', 'spec:\n  nodeSelector: { zone: mars }'),
      '--timeout',
      '300ms',
    ).done;
    assert.deepEqual([code, stdout], [1, 'project/shop created\n']);
    assert.match(stderr, /^project\/shop Pending: 0\/1 nodes are available: 1 does not match nodeSelector\n/u);
    assert.match(stderr, /\nerror: Stopped waiting after 300ms as project "shop" is Pending: 0\/1 nodes are available/u);
  });

  test('apply --wait ends when the Project is deleted meanwhile, and leaves everything as it is when interrupted', async () => {
    await using api = await startWithNode();
    const apply = applyAndWait(api, SHOP);
    await apply.shows('Scheduled on worker-01');
    await ctl(['delete', 'project', 'shop', '--force'], { server: api.server.url });
    assert.match((await apply.done).stderr, /error: Cannot wait for project "shop" any longer as it was deleted meanwhile\n/u);
    const again = applyAndWait(api, SHOP);
    await again.shows('Scheduled on worker-01');
    again.interrupt();
    const { code, stderr } = await again.done;
    assert.equal(code, 130);
    assert.match(stderr, /\nStopped waiting; what was applied stays applied\n$/u);
  });

  test('on a terminal the progress is redrawn in place and taken away at the end', async () => {
    await using api = await startWithNode();
    const apply = startCtl(['apply', '-f', '-', '--wait'], {
      server: api.server.url,
      stdin: SHOP,
      terminal: { columns: 60, rows: 10 },
    });
    await apply.shows('project/shop Scheduled on worker-01, 0s');
    await report(api, 'Scheduled', [{ name: 'web', state: 'Pulling', message: 'layer '.repeat(40) }]);
    await apply.shows('Pulling: layer');
    await report(api, 'Running', RUNNING);
    const { stderr } = await apply.done;
    assert.ok(stderr.endsWith('A\r\u001B[J'), JSON.stringify(stderr.slice(-40)));
    const lines = stripVTControlCharacters(stderr).replaceAll('\r', '').split('\n');
    const widest = Math.max(...lines.map((line) => line.length));
    assert.ok(widest < 60, `a line of ${widest} characters would wrap`);
  });

  test('delete shows what it waits for and ends when the Project is gone', async () => {
    await using api = await startWithNode();
    const apply = applyAndWait(api, SHOP);
    await apply.shows('Scheduled on worker-01');
    await report(api, 'Running', RUNNING);
    await apply.done;
    const removal = startCtl(['delete', 'project', 'shop'], { server: api.server.url });
    await removal.shows('project/shop Terminating');
    await report(api, 'Terminating', [{ name: 'web', state: 'Stopping' }]);
    await removal.shows('project/shop Terminating: web Stopping');
    await report(api, 'Terminated', []);
    assert.deepEqual((({ code, stdout }) => [code, stdout])(await removal.done), [0, 'project/shop deleted\n']);
  });

  test('delete --wait=false only asks; delete --force and --timeout do what they say', async () => {
    await using api = await startWithNode();
    const run = (...args: readonly string[]) => ctl(args, { server: api.server.url });
    const apply = applyAndWait(api, SHOP);
    await apply.shows('Scheduled on worker-01');
    apply.interrupt();
    await apply.done;
    assert.deepEqual(await run('delete', 'project/shop', '--wait=false'), {
      code: 0,
      stdout: 'project/shop is being deleted\n',
      stderr: '',
    });
    const late = await run('delete', 'project', 'shop', '--timeout', '200ms');
    assert.equal(late.code, 1);
    assert.match(late.stderr, /error: Stopped waiting after 200ms as not all is gone yet: project\/shop Terminating/u);
    assert.deepEqual(await run('delete', 'project', 'shop', '--force'), {
      code: 0,
      stdout: 'project/shop deleted by force\n',
      stderr:
        'warning: its containers may still run on worker-01: the agent there removes them some three minutes after it hears from the server again\n',
    });
    assert.equal((await run('get', 'projects')).stderr, 'No projects found\n');
  });

  test('delete warns of containers when the server let a Project go that its silent node never confirmed to be gone', async () => {
    await using api = await startWithNode({ NODE_HEARTBEAT_TIMEOUT: 1500, PROJECT_TERMINATION_TIMEOUT: 200 });
    await ctl(['apply', '-f', '-'], { server: api.server.url, stdin: SHOP });
    await until(async () => (await api.call('GET', '/projects/shop')).body.status.nodeRef !== undefined, {
      what: 'a node',
      timeoutMs: 60_000,
    });
    const { code, stdout, stderr } = await ctl(['delete', 'project', 'shop'], { server: api.server.url });
    assert.deepEqual([code, stdout], [0, 'project/shop deleted\n']);
    assert.match(stderr, /\nwarning: its containers may still run on worker-01: the agent there removes them /u);
  });

  test('apply sends Nodes before Projects, and one refusal does not hold up the others', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    const manifest = `${SHOP}---\n# nothing\n---\napiVersion: caravanserai/v1\nkind: Node\nmetadata: { name: worker-01, resourceVersion: "7" }\n---\napiVersion: caravanserai/v1\nkind: Node\nmetadata: { name: worker-02 }\nstatus: { state: Ready }\n`;
    await api.apply('Node', 'worker-01');
    const { code, stdout, stderr } = await ctl(['apply', '-f', '-'], { server: api.server.url, stdin: manifest });
    assert.equal(code, 1);
    assert.equal(stdout, 'node/worker-02 created\nproject/shop created\n');
    assert.match(stderr, /^error: Cannot apply node\/worker-01 of <stdin>: .*resourceVersion/mu);
    assert.match(stderr, /^warning: node\/worker-02: status /mu);
  });

  test('apply touches nothing when one document of several is wrong', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    const stdin = `${SHOP}---\napiVersion: caravanserai/v1\nkind: Nod\nmetadata: { name: x }\n`;
    const { code, stdout, stderr } = await ctl(['apply', '-f', '-'], { server: api.server.url, stdin });
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, 'error: <stdin>:10:7: /kind must be one of Node, Project, Secret: current value is "Nod"\n');
    assert.equal((await api.call('GET', '/projects')).body.items.length, 0);
  });

  test('get projects shows phase, node, ready services, ports and reason, by phase and by node', async () => {
    await using api = await startWithNode();
    const apply = applyAndWait(api, SHOP);
    await apply.shows('Scheduled on worker-01');
    await report(api, 'Running', RUNNING);
    await apply.done;
    const run = async (line: string) => (await ctl(line.split(' '), { server: api.server.url })).stdout;
    assert.match(await run('get projects'), /^NAME +PHASE +NODE +READY +AGE +REASON\nshop +Running +worker-01 +2\/2 +\d+s +-\n$/u);
    assert.match(await run('get proj -o wide'), /postgres:17,shop\/web:3 +80->web:8080 +-\n$/u);
    assert.equal(await run('get projects --phase running --node worker-01 -o name'), 'project/shop\n');
    assert.equal(await run('get projects --phase Failed --phase Pending -o name'), '');
    assert.match(await run('describe project shop'), /^Up to date: +yes$/mu);
  });
});
