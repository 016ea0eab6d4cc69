/** Images with the real programs, a real engine and a registry of the test's own: policies, private registries, refusals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findBusybox } from '../../scripts/lib/busybox.ts';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import type { TarFile } from '../../src/agent/docker/tar.ts';
import { pino } from 'pino';
import { createDockerEngine } from '../../src/agent/docker/docker-client.ts';
import { createImageKeeping } from '../../src/agent/images/image-keeping.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemDisk } from '../../src/base/disk.ts';
import { systemRandom } from '../../src/base/random.ts';
import { makeProject } from '../support/objects/projects.ts';
import { makeScratch } from '../support/scratch.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';
import { contentsOf, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { TestRegistry } from '../support/engines/registry.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const HOST = testEngine();
const CACHE = path.join(import.meta.dirname, '../../node_modules/.cache/caravanserai');
const SLEEP = ['/bin/busybox', 'sleep', '3600'];
const NAMES = ['pinned', 'moving', 'never', 'open', 'shop', 'shop2', 'first', 'second'];

/** Differs from any other of another `version`, so that each has layers of its own. */
async function imageOf(version: string): Promise<{ readonly files: readonly TarFile[]; readonly command: readonly string[] }> {
  const busybox = readFileSync((await findBusybox(CACHE)) ?? '');
  const files = [
    { path: '/bin/busybox', mode: 0o755, content: busybox },
    { path: '/version', mode: 0o644, content: Buffer.from(version) },
  ];
  return { files, command: SLEEP };
}

interface Wish {
  readonly name: string;
  readonly image: string;
  readonly policy?: string;
  readonly secret?: string;
  readonly env?: string;
}

function manifestOf({ name, image, policy, secret, env = '1' }: Wish): string {
  return JSON.stringify({
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name },
    spec: {
      services: [
        {
          name: 'web',
          image,
          stopGracePeriod: '0s',
          env: [{ name: 'REVISION', value: env }],
          ...(policy !== undefined && { imagePullPolicy: policy }),
        },
      ],
      ...(secret !== undefined && { imagePullSecrets: [{ name: secret }] }),
    },
  });
}

/** Server, agent and registry; `apply` and the rest fail the test when the command fails. */
async function world() {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startServer());
  const agent = stack.use(await startAgent({ serverUrl: server.url, engineHost: HOST, nodeName: 'worker-01' }));
  const registry = stack.use(await new TestRegistry().listen());
  const ctl = async (args: readonly string[], input?: string) => {
    const result = await caractrl(args, { server: server.url, ...(input !== undefined && { input }) });
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`);
    return result;
  };
  await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
  return {
    server,
    agent,
    registry,
    ctl,
    apply: async (wish: Wish) => await ctl(['apply', '-f', '-'], manifestOf(wish)),
    running: async (name: string) => await projectInPhase(server.url, { name, phase: 'Running' }),
    failed: async (name: string) => (await projectInPhase(server.url, { name, phase: 'Failed' })).status,
    containerOf: async (name: string) => (await contentsOf(HOST)).containers[`cara_${name}_web`],
    [Symbol.asyncDispose]: async () => {
      await using _programs = stack;
      await caractrl(['delete', 'project', ...NAMES, '--ignore-not-found'], { server: server.url });
      await until(async () => Object.keys((await contentsOf(HOST)).containers).length === 0, { what: 'a clean engine', timeoutMs: 60_000 });
    },
  };
}

test('an image is pulled by its policy, and never again for what runs', async () => {
  await using w = await world();
  const { host } = w.registry;
  w.registry.push('team/app', '1', await imageOf('one'));
  w.registry.push('team/app', 'latest', await imageOf('one'));
  const release = w.registry.hold();
  const applying = w.ctl(['apply', '-f', '-', '--wait'], manifestOf({ name: 'pinned', image: `${host}/team/app:1` }));
  const isPulling = async (): Promise<boolean> =>
    /layers/u.test(JSON.stringify((await findObject(w.server.url, 'projects/pinned'))?.status['services'] ?? ''));
  await until(isPulling, { what: 'progress per layer in the status', timeoutMs: 60_000 });
  release();
  assert.match((await applying).stderr, /Pulling.*layers/u, 'progress per layer reaches the waiting apply');
  assert.equal(w.registry.pulls('team/app') > 0, true);
  const asked = w.registry.pulls('team/app');
  await w.apply({ name: 'pinned', image: `${host}/team/app:1`, env: '2' });
  await until(async () => (await findObject(w.server.url, 'projects/pinned'))?.status['observedGeneration'] === 2, {
    what: 'the change',
    timeoutMs: 60_000,
  });
  await w.running('pinned');
  assert.equal(w.registry.pulls('team/app'), asked, 'IfNotPresent asks no registry for what is there');

  await w.apply({ name: 'moving', image: `${host}/team/app` });
  const { status: before } = await w.running('moving');
  const moved = w.registry.push('team/app', 'latest', await imageOf('two'));
  const quiet = w.registry.pulls('team/app');
  const id = await w.containerOf('moving');
  await callEngineJson({ host: HOST, method: 'POST', path: `/containers/${id}/restart?t=0` });
  await w.running('moving');
  assert.equal(w.registry.pulls('team/app'), quiet, 'a restart makes no container');
  await callEngineJson({ host: HOST, method: 'DELETE', path: `/containers/${id}?force=1` });
  await until(async () => (await w.containerOf('moving')) !== undefined, { what: 'a new container', timeoutMs: 60_000 });
  const { status: after } = await w.running('moving');
  const digests = [before, after].map((status) => (status['services'] as { imageDigest: string }[])[0]?.imageDigest);
  assert.notEqual(digests[0], digests[1]);
  assert.equal(digests[1], moved);

  await w.apply({ name: 'never', image: `${host}/team/app:none`, policy: 'Never' });
  const refused = await w.failed('never');
  assert.equal(refused['reason'], 'ImageNotPresent');
});

for (const scheme of ['Basic', 'Bearer'] as const) {
  test(`a private registry (${scheme}) lets in who names its Secret, and a corrected one is tried at once`, async () => {
    await using w = await world();
    const { host } = w.registry;
    w.registry.credentials = { username: 'ann', password: 'so:secret', scheme };
    w.registry.push('team/private', '1', await imageOf(`private ${scheme}`));
    const image = `${host}/team/private:1`;
    await w.apply({ name: 'open', image });
    const anonymous = await w.failed('open');
    assert.equal(anonymous['reason'], 'ImagePullFailed');
    assert.match(String(anonymous['message']), new RegExp(`registry ${host} refuses it: .*imagePullSecrets`, 'u'));

    await w.ctl(['apply', '-f', '-'], secretOf(host, 'ann:wrong'));
    await w.apply({ name: 'shop', image, secret: 'pull' });
    assert.equal((await w.failed('shop'))['reason'], 'ImagePullFailed');
    const asked = w.registry.pulls('team/private') + w.registry.requests.length;
    await w.apply({ name: 'shop2', image, secret: 'pull' });
    await w.failed('shop2');
    assert.equal(w.registry.pulls('team/private') + w.registry.requests.length, asked, 'the same credentials are not tried by another');

    await w.ctl(['apply', '-f', '-'], secretOf(host, 'ann:so:secret'));
    await w.running('shop');
    await w.running('shop2');
    assert.doesNotMatch(JSON.stringify(await findObject(w.server.url, 'projects/shop')), /so:secret/u);
  });
}

test('a registry that limits the rate is left in peace by all Projects alike', async () => {
  await using w = await world();
  const { host } = w.registry;
  w.registry.refusal = { status: 429, code: 'TOOMANYREQUESTS', message: 'retry-after: 300s, allowed: 1/minute' };
  await w.apply({ name: 'first', image: `${host}/team/a:1` });
  const told = await w.failed('first');
  assert.match(String(told['message']), new RegExp(`registry ${host} limits how often`, 'u'));
  const asked = w.registry.requests.length;
  await w.apply({ name: 'second', image: `${host}/team/b:1` });
  assert.match(String((await w.failed('second'))['message']), new RegExp(`registry ${host} limits how often`, 'u'));
  assert.equal(w.registry.requests.length, asked);
});

test('a registry that forbids a repository (403) is named, and not asked again for it', async () => {
  await using w = await world();
  const { host } = w.registry;
  w.registry.refusal = { status: 403, code: 'DENIED', message: 'requested access to the resource is denied' };
  await w.apply({ name: 'first', image: `${host}/team/a:1` });
  assert.match(String((await w.failed('first'))['message']), new RegExp(`registry ${host} refuses it`, 'u'));
  const asked = w.registry.requests.length;
  await w.apply({ name: 'second', image: `${host}/team/a:2` });
  await w.failed('second');
  assert.equal(w.registry.requests.length, asked);
});

test('images that the agent pulled go when no Project needs them, and no others', async () => {
  await using registry = await new TestRegistry().listen();
  using scratch = makeScratch();
  const clock = new VirtualClock();
  const engine = createDockerEngine({ host: HOST, clock: systemClock });
  const { signal } = new AbortController();
  const keeping = await createImageKeeping({
    engine,
    clock,
    dataDir: scratch.path,
    disk: systemDisk,
    assigned: () => [makeProject({ services: [{ name: 'web', image: `${registry.host}/team/app:3` }] })],
    isUnderPressure: () => false,
    readFreeBytes: async () => await Promise.resolve(0),
    random: systemRandom,
    log: pino({ level: 'silent' }),
  });
  for (const tag of ['1', '2', '3', 'latest', 'theirs']) {
    registry.push('team/app', tag, await imageOf(`clean ${tag}`));
  }
  const pull = async (tag: string, isForced: boolean): Promise<void> =>
    await keeping.puller.pull(`${registry.host}/team/app:${tag}`, { auth: undefined, isForced, onProgress: () => undefined }, signal);
  await engine.pullImage(`${registry.host}/team/app:theirs`, {}, signal);
  for (const tag of ['1', '2', '3', 'latest', 'theirs']) {
    await pull(tag, true);
  }
  const moved = (await engine.inspectImage(`${registry.host}/team/app:latest`, signal))?.id ?? '';
  registry.push('team/app', 'latest', await imageOf('clean latest, moved'));
  await pull('latest', true);
  const user = await engine.createContainer('somebodys', { image: `${registry.host}/team/app:2`, labels: {} }, signal);
  const tags = async (): Promise<readonly string[]> =>
    (await engine.listImages(signal)).flatMap(({ repoTags }) => repoTags.filter((tag) => tag.startsWith(registry.host))).toSorted();
  try {
    assert.equal((await keeping.cleaner.clean(signal)).removed, 0, 'all are young');
    await clock.advance(2 * 3_600_000);
    const { removed, freedBytes } = await keeping.cleaner.clean(signal);
    assert.equal(removed, 3, '1, latest, and what was latest before');
    assert.ok(freedBytes > 3_000_000, String(freedBytes));
    assert.deepEqual(
      await tags(),
      ['2', '3', 'theirs'].map((tag) => `${registry.host}/team/app:${tag}`),
    );
    assert.equal(await engine.inspectImage(moved, signal), undefined);
  } finally {
    await engine.removeContainer(user, { force: true, removeAnonymousVolumes: true }, signal);
    for (const tag of await tags()) {
      await engine.removeImage(tag, signal);
    }
  }
  assert.deepEqual(await tags(), []);
  await engine.removeImage('no-such-image:9', signal);
  engine.close();
});

function secretOf(host: string, login: string): string {
  const auth = Buffer.from(login).toString('base64');
  return JSON.stringify({
    apiVersion: 'caravanserai/v1',
    kind: 'Secret',
    metadata: { name: 'pull' },
    type: 'dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth } } }) },
  });
}
