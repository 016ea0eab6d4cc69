/** Volumes on a real engine, as a user meets them: what stays, what goes, and the one command that deletes. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, test } from 'node:test';
import { callEngine, callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState } from '../support/programs/seen.ts';

const NODE = 'worker-01';
const KEPT = 'cara_vol-shop_data';
const scratch = makeScratch();

after(() => scratch[Symbol.dispose]());

/** Each container adds a line to the Managed volume and says how many there are. */
function shop(greeting: string): string {
  const line = `echo ${greeting} >> /data/marks; echo marks $(wc -l < /data/marks); exec sleep 86400`;
  const mounts = [
    { name: 'data', mountPath: '/data' },
    { name: 'scratch', mountPath: '/scratch' },
  ];
  const services = [
    {
      name: 'web',
      image: IMAGES.v1.tag,
      entrypoint: ['/bin/sh', '-c'],
      command: [line.replaceAll(/\b(wc|sleep)\b/gu, '/bin/busybox $1')],
      volumeMounts: mounts,
      stopGracePeriod: '0s',
    },
  ];
  const spec = { services, volumes: [{ name: 'data', type: 'Managed' }, { name: 'scratch' }] };
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'vol-shop' }, spec });
}

async function join(server: Program): Promise<Program> {
  return await startAgent({
    serverUrl: server.url,
    engineHost: testEngine(),
    nodeName: NODE,
    dataDir: path.join(scratch.path, 'agent'),
    env: { HEARTBEAT_INTERVAL: '500ms' },
  });
}

async function apply(server: Program, greeting: string): Promise<void> {
  const { code, stderr } = await caractrl(['apply', '--wait', '-f', '-'], { server: server.url, input: shop(greeting) });
  assert.equal(code, 0, stderr);
}

/** What the container says of the marks. */
async function marks(): Promise<string> {
  const host = testEngine();
  return await until(
    async () => {
      const { text } = await callEngine({ host, path: '/containers/cara_vol-shop_web/logs?stdout=1' });
      return /marks \d+/u.exec(text)?.[0];
    },
    { what: 'the container to count', timeoutMs: 60_000 },
  );
}

async function listed(server: Program): Promise<string> {
  return (await caractrl(['get', 'volumes'], { server: server.url })).stdout;
}

async function untilListed(server: Program, pattern: RegExp): Promise<void> {
  await until(async () => pattern.test(await listed(server)), { what: `${String(pattern)} in get volumes`, timeoutMs: 60_000 });
}

test('a Managed volume stays through update and deletion of its Project, and only the command that names it deletes it', async () => {
  await using server = await startServer();
  await using agent = await join(server);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  await callEngineJson({ host: testEngine(), method: 'POST', path: '/volumes/create', ...json({ Name: 'cara_vol-foreign_data' }) });

  await apply(server, 'one');
  assert.equal(await marks(), 'marks 1');
  await untilListed(server, /^worker-01 +cara_vol-shop_data +vol-shop +Managed +\d+s +yes$/mu);
  await untilListed(server, /^worker-01 +cara_vol-shop_scratch +vol-shop +Ephemeral/mu);
  assert.doesNotMatch(await listed(server), /foreign/u, 'what is not ours is not shown');

  const used = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`, '--yes', KEPT], { server: server.url });
  assert.equal(used.code, 1);
  assert.match(used.stderr, /as project "vol-shop" uses it, which is on worker-01: delete the project first/u);

  await apply(server, 'two');
  assert.equal(await marks(), 'marks 2', 'an update keeps it');
  assert.equal((await caractrl(['delete', 'project', 'vol-shop'], { server: server.url })).code, 0);
  assert.deepEqual((await contentsOf(testEngine(), 'cara_vol-shop')).volumes, [KEPT], 'the Ephemeral one goes with the Project');
  await untilListed(server, /cara_vol-shop_data +vol-shop +Managed +\d+s +no$/mu);

  await apply(server, 'three');
  assert.equal(await marks(), 'marks 3', 'it passes on to the next Project of the name');
  assert.equal((await caractrl(['delete', 'project', 'vol-shop'], { server: server.url })).code, 0);

  const unasked = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`], { server: server.url });
  assert.equal(unasked.code, 2, 'nobody is there to type the name');
  assert.match(unasked.stderr, /hint: caractrl delete volume worker-01\/cara_vol-shop_data --yes cara_vol-shop_data/u);
  const wrong = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`, '--yes', 'cara_vol-shop'], { server: server.url });
  assert.match(wrong.stderr, /as --yes must repeat its name: current value is "cara_vol-shop"/u);
  const foreign = await caractrl(['delete', 'volume', `${NODE}/cara_vol-foreign_data`, '--yes', 'cara_vol-foreign_data'], {
    server: server.url,
  });
  assert.match(foreign.stderr, /volume "worker-01\/cara_vol-foreign_data" not found/u);
  assert.deepEqual((await contentsOf(testEngine(), 'cara_vol-')).volumes.toSorted(), ['cara_vol-foreign_data', KEPT]);

  const holder = { Image: IMAGES.v1.tag, Cmd: ['web'], HostConfig: { NetworkMode: 'none', Binds: [`${KEPT}:/data`] } };
  const created = await callEngineJson({ host: testEngine(), method: 'POST', path: '/containers/create?name=vol-holder', ...json(holder) });
  const held = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`, '--yes', KEPT], { server: server.url });
  assert.equal(held.code, 1);
  assert.match(held.stderr, /: A container on the node still has it: .*volume is in use/u);
  await callEngineJson({ host: testEngine(), method: 'DELETE', path: `/containers/${(created as { Id: string }).Id}` });

  await agent.kill();
  const asked = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`, '--yes', KEPT, '--wait=false'], { server: server.url });
  assert.equal(asked.stdout, `volume/${NODE}/${KEPT} is being deleted\n`);
  assert.match(await listed(server), /being deleted$/mu);
  await using _again = await join(server);
  await until(async () => (await findObject(server.url, `nodes/${NODE}/volumes/${KEPT}`)) === undefined, {
    what: 'the agent that comes back to carry it out',
    timeoutMs: 60_000,
  });
  assert.deepEqual((await contentsOf(testEngine(), 'cara_vol-')).volumes, ['cara_vol-foreign_data']);
  await callEngineJson({ host: testEngine(), method: 'DELETE', path: '/volumes/cara_vol-foreign_data' });
});

test('on a node that is NotReady nothing is asked for, and since when is said', async () => {
  await using server = await startServer({ env: { NODE_HEARTBEAT_TIMEOUT: '2s' } });
  await using agent = await join(server);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  await apply(server, 'one');
  assert.equal((await caractrl(['delete', 'project', 'vol-shop'], { server: server.url })).code, 0);
  await untilListed(server, /cara_vol-shop_data .* no$/mu);
  await agent.kill();
  await nodeInState(server.url, { name: NODE, state: 'NotReady' });
  const away = await caractrl(['delete', 'volume', `${NODE}/${KEPT}`, '--yes', KEPT], { server: server.url });
  assert.equal(away.code, 1);
  assert.match(away.stderr, /as the node is NotReady since 20\d\d-\S+Z, and only its agent can: nothing was asked for/u);
  await using _again = await join(server);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  const gone = await caractrl(['delete', `volume/${NODE}/${KEPT}`, '--yes', `${NODE}/${KEPT}`], { server: server.url });
  assert.equal(gone.stdout, `volume/${NODE}/${KEPT} deleted\n`, gone.stderr);
});

function json(body: object): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}
