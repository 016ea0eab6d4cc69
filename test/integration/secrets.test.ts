/** Secrets over the API: what is stored, what is shown, who gets values, and what happens to the keys. */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { until } from '../../scripts/lib/wait.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/base/config.ts';
import { systemRandom } from '../../src/base/random.ts';
import { StartError } from '../../src/base/program.ts';
import { serverSettings } from '../../src/server/config.ts';
import { startServer, type RunningServer } from '../../src/server/main.ts';
import { openOwnStore } from '../../src/server/own-store.ts';
import { rotateKeys } from '../../src/server/secrets/rotate-keys.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import type { Store } from '../../src/store/store.ts';
import { APPLY, MERGE, openWatch, startApi, startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { makeScratch } from '../support/scratch.ts';

const VALUE = 'correct-horse-battery';
const BASE64 = Buffer.from(VALUE).toString('base64');
const SILENT = pino({ level: 'silent' });

function secretOf(name: string, fields: object = { stringData: { password: VALUE } }): object {
  const { metadata = {}, ...rest } = fields as { readonly metadata?: object };
  return { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name, ...metadata }, ...rest };
}

function apply(api: ApiServer, name: string, fields?: object): ReturnType<ApiServer['call']> {
  return api.call('PATCH', `/secrets/${name}`, { body: secretOf(name, fields), type: APPLY });
}

/** A Project whose one service has the key of the Secret in a variable. */
function userOf(secret: string, key = 'password'): object {
  const env = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: secret, key } } }];
  return { spec: { services: [{ name: 'web', image: 'shop/web:3', env }] } };
}

async function reveal(api: ApiServer, name: string): Promise<Readonly<Record<string, string>>> {
  const { body } = await api.call('GET', `/secrets/${name}?reveal=true`);
  const data = Object.entries((body as { data: Record<string, string> }).data);
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

async function projectOf(api: ApiServer, name: string): Promise<ProjectObject> {
  return (await api.call('GET', `/projects/${name}`)).body as ProjectObject;
}

test('POST, GET, list, PUT, PATCH and DELETE of a Secret show keys, sizes and fingerprints, and never a value', async () => {
  await using api = await startApi();
  const created = await api.call('POST', '/secrets', { body: secretOf('shop') });
  assert.equal(created.status, 201);
  assert.equal(created.headers.location, '/api/v1/secrets/shop');
  assert.equal((await api.call('POST', '/secrets', { body: secretOf('shop') })).status, 409);
  const { type, status, metadata } = created.body;
  assert.equal(type, 'Opaque');
  assert.equal(metadata.generation, 1);
  assert.deepEqual(status.keys, [{ name: 'password', size: VALUE.length, fingerprint: status.keys[0].fingerprint }]);
  assert.match(status.keys[0].fingerprint, /^[0-9a-f]{32}$/u);
  const answers = [
    created,
    await api.call('GET', '/secrets'),
    await api.call('GET', '/secrets/shop'),
    await api.call('GET', '/secrets/shop?reveal=false'),
    await api.call('PUT', '/secrets/shop', { body: secretOf('shop', { data: { a: BASE64 } }) }),
    await api.call('PATCH', '/secrets/shop', { body: { stringData: { b: VALUE } }, type: MERGE }),
    await apply(api, 'shop', { stringData: { c: VALUE }, metadata: { labels: { tier: 'db' } } }),
    await api.call('GET', '/secrets?labelSelector=tier=db&limit=1'),
    await api.call('DELETE', '/secrets/shop'),
  ];
  for (const [index, { status: code, body }] of answers.entries()) {
    assert.ok(code < 300, `answer ${index}: ${code} ${JSON.stringify(body)}`);
    assert.doesNotMatch(JSON.stringify(body), new RegExp(`${VALUE}|${BASE64}|sealed|keyId|"data"`, 'u'), `answer ${index}`);
  }
  assert.equal((await api.call('GET', '/secrets/shop')).status, 404);
});

test('what was read can be sent back: a manifest without values leaves them, an apply of the same changes nothing', async () => {
  await using api = await startApi();
  const created = await apply(api, 'shop');
  assert.equal(created.status, 201);
  assert.equal((await apply(api, 'shop')).headers['cara-result'], 'unchanged');
  const again = await api.call('PUT', '/secrets/shop', { body: created.body });
  assert.equal(again.status, 200);
  assert.match(String(again.headers.warning), /status in the manifest is ignored/u);
  assert.equal(again.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
  const labelled = await apply(api, 'shop', { metadata: { labels: { tier: 'db' } } });
  assert.equal(labelled.body.metadata.generation, 1);
  assert.deepEqual(await reveal(api, 'shop'), { password: VALUE });
  const changed = await apply(api, 'shop', { stringData: { other: 'x' } });
  assert.equal(changed.body.metadata.generation, 2);
  assert.deepEqual(await reveal(api, 'shop'), { other: 'x' });
});

test('a merge patch changes, adds and removes single keys', async () => {
  await using api = await startApi();
  await apply(api, 'shop', { stringData: { a: '1', b: '2' } });
  const patch = async (body: object): Promise<number> => (await api.call('PATCH', '/secrets/shop', { body, type: MERGE })).status;
  assert.equal(await patch({ data: { a: null }, stringData: { c: '3' } }), 200);
  assert.deepEqual(await reveal(api, 'shop'), { b: '2', c: '3' });
  assert.equal(await patch({ metadata: { labels: { tier: 'db' } } }), 200);
  assert.deepEqual(await reveal(api, 'shop'), { b: '2', c: '3' });
  assert.equal(await patch({ data: null }), 200);
  assert.deepEqual(await reveal(api, 'shop'), {});
  assert.equal(await patch({ kind: 'Node' }), 400);
  assert.equal(await patch({ metadata: { name: 'other' } }), 400);
  assert.equal(await patch([1]), 400);
});

test('type dockerconfigjson is checked on the whole of what comes out, also when only the type changes', async () => {
  await using api = await startApi();
  await apply(api, 'shop');
  const asRegistry = await apply(api, 'shop', { type: 'dockerconfigjson' });
  assert.equal(asRegistry.status, 400);
  assert.match(asRegistry.body.errors[0].detail, /is no key of type dockerconfigjson/u);
  assert.equal((await apply(api, 'empty', { type: 'dockerconfigjson' })).status, 400);
  const config = JSON.stringify({ auths: { 'r.example': { username: 'me', password: VALUE } } });
  assert.equal((await apply(api, 'r', { type: 'dockerconfigjson', stringData: { '.dockerconfigjson': config } })).status, 201);
  assert.equal((await apply(api, 'r', { stringData: { '.dockerconfigjson': '{}' } })).status, 400, 'the type stays when it is left out');
});

test('no refusal repeats a part of a value, nor of a body that is no JSON', async () => {
  await using api = await startApi();
  const bodies = [
    secretOf('shop', { data: { a: VALUE } }),
    secretOf('shop', { stringData: VALUE }),
    [secretOf('shop')],
    `{"kind":"Secret","stringData":{"a":${VALUE}}}`,
    `{"kind":"Secret","stringData":{"a":"${VALUE}" "${VALUE}"}}`,
    JSON.stringify(secretOf('shop')).slice(0, -1),
  ];
  for (const body of bodies) {
    for (const [method, path, type] of [
      ['POST', '/secrets', undefined],
      ['PUT', '/secrets/shop', undefined],
      ['PATCH', '/secrets/shop', APPLY],
    ] as const) {
      const answer = await api.call(method, path, { body, ...(type !== undefined && { type }) });
      assert.equal(answer.status, 400, `${method} ${JSON.stringify(answer.body)}`);
      assert.doesNotMatch(JSON.stringify(answer.body), /correct|horse|battery|Y29ycmVj/u);
    }
  }
});

test('reveal shows the values, warns that everyone can, and is logged without them', async () => {
  using scratch = makeScratch();
  const logFile = join(scratch.path, 'log');
  await using server = await startOn(scratch.path, { log: pino({ level: 'trace' }, pino.destination({ dest: logFile, sync: true })) });
  await server.call('POST', '/api/v1/secrets', secretOf('shop', { stringData: { password: VALUE }, data: { raw: '/wA=' } }));
  const revealed = await server.call('GET', '/api/v1/secrets/shop?reveal=true');
  assert.deepEqual((revealed.body as { data: object }).data, { password: BASE64, raw: '/wA=' });
  assert.match(revealed.warning, /asks nobody for credentials/u);
  await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop', { data: { a: VALUE } }));
  const log = readFileSync(logFile, 'utf8');
  assert.match(log, /"msg":"secret revealed"/u);
  assert.match(log, /"msg":"secret created"/u);
  assert.doesNotMatch(log, new RegExp(`${VALUE}|${BASE64}`, 'u'));
});

test('watches and Events never carry a value', async () => {
  await using api = await startApiOn({ clock: systemClock, listen: true });
  await using watch = await openWatch(api.server, 'secrets');
  await apply(api, 'shop');
  await apply(api, 'shop', { stringData: { password: `${VALUE}2` } });
  await api.call('DELETE', '/secrets/shop');
  const lines = [await watch.nextChange(), await watch.nextChange(), await watch.nextChange()];
  assert.deepEqual(
    lines.map((line) => line?.type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  const text = JSON.stringify([lines, (await api.call('GET', '/events')).body]);
  assert.doesNotMatch(text, new RegExp(`${VALUE}|${BASE64}|sealed|keyId`, 'u'));
});

test('a node gets the values of a Secret only while a Project bound to it uses them, and is told nothing of others', async () => {
  await using api = await startApi();
  const read = async (node: string, secret = 'shop'): ReturnType<ApiServer['call']> => api.call('GET', `/nodes/${node}/secrets/${secret}`);
  await apply(api, 'shop');
  await apply(api, 'other');
  for (const name of ['worker-01', 'worker-02']) {
    await api.apply('Node', name);
  }
  await api.beat('worker-01');
  assert.equal((await read('worker-01')).status, 403);
  await api.apply('Project', 'web', userOf('shop'));
  await api.apply('Project', 'lost', userOf('absent'));
  await api.clock.advanceUntil(async () => (await projectOf(api, 'lost')).status.nodeRef === 'worker-01', 10_000);
  const answer = await read('worker-01');
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body.data, { password: BASE64 });
  assert.equal(answer.headers.warning, undefined);
  assert.equal((await read('worker-02')).status, 403);
  assert.equal((await read('worker-01', 'other')).status, 403);
  assert.equal((await read('worker-01', 'never-was')).status, 403, 'as for one that there is');
  assert.equal((await read('worker-01', 'absent')).status, 404);
  await api.call('DELETE', '/projects/web');
  assert.equal((await read('worker-01')).status, 403);
});

test('status.secrets of a Project follows its Secrets, and keeps what a deleted one was', async () => {
  await using api = await startApi();
  const secretsOf = async (): Promise<ProjectObject['status']['secrets']> => (await projectOf(api, 'web')).status.secrets;
  const after = async (isReached: (secrets: NonNullable<ProjectObject['status']['secrets']>) => boolean): Promise<void> =>
    void (await until(async () => isReached((await secretsOf()) ?? []), { what: 'status.secrets to follow', timeoutMs: 60_000 }));
  await api.apply('Project', 'web', userOf('shop'));
  assert.deepEqual(await secretsOf(), [{ name: 'shop', missing: true, keys: [{ name: 'password', missing: true }] }]);
  const { fingerprint } = (await apply(api, 'shop')).body.status.keys[0];
  await after(([shop]) => shop?.missing === undefined);
  assert.deepEqual(await secretsOf(), [{ name: 'shop', keys: [{ name: 'password', fingerprint }] }]);
  const before = (await projectOf(api, 'web')).metadata;
  await apply(api, 'shop', { stringData: { password: VALUE, unused: 'x' } });
  await apply(api, 'shop', { stringData: { password: 'new' } });
  await after(([shop]) => shop?.keys[0]?.fingerprint !== fingerprint);
  const now = (await projectOf(api, 'web')).metadata;
  assert.equal(now.generation, before.generation);
  assert.equal(Number(now.resourceVersion) - Number(before.resourceVersion), 3, 'a key that it does not use costs no write');
  const [shop] = (await secretsOf()) ?? [];
  const deleted = await api.call('DELETE', '/secrets/shop');
  assert.match(String(deleted.headers.warning), /still used by web: what runs there runs on/u);
  await after(([gone]) => gone?.missing === true);
  assert.deepEqual(await secretsOf(), [{ name: 'shop', missing: true, keys: [{ ...shop?.keys[0], missing: true }] }]);
  await apply(api, 'shop', { stringData: { password: 'new' } });
  await after(([back]) => back?.missing === undefined);
  assert.deepEqual(await secretsOf(), [shop], 'made anew with the same value it is the same');
  await api.apply('Project', 'web');
  assert.equal(await secretsOf(), undefined);
});

test('status.secrets that was written from what has changed meanwhile is put right', async () => {
  await using api = await startApi();
  await apply(api, 'shop');
  await api.apply('Project', 'web', userOf('shop'));
  const project = await projectOf(api, 'web');
  const stale = [{ name: 'shop', missing: true, keys: [{ name: 'password', fingerprint: 'old' }] }];
  const object: ProjectObject = { ...project, status: { ...project.status, secrets: stale } };
  await api.store.commit([{ op: 'update', object }]);
  const isRight = async (): Promise<boolean> => isDeepStrictEqual((await projectOf(api, 'web')).status.secrets, project.status.secrets);
  await until(isRight, { what: 'status.secrets to be put right', timeoutMs: 60_000 });
});

test('a new Project has the fingerprints of its Secrets from its first version on', async () => {
  await using api = await startApi();
  const { status } = (await apply(api, 'shop', { stringData: { a: '1', b: '2' } })).body;
  const services = [{ name: 'web', image: 'web:1', envFrom: [{ secretRef: { name: 'shop' } }] }];
  const { body } = await api.apply('Project', 'web', { spec: { services } });
  assert.deepEqual(body.status.secrets, [{ name: 'shop', fingerprint: status.fingerprint, keys: [] }]);
  assert.deepEqual((await api.apply('Project', 'web', { spec: { services } })).headers['cara-result'], 'unchanged');
});

interface RunningOn extends AsyncDisposable {
  readonly server: RunningServer;
  call(method: string, path: string, body?: object): Promise<{ readonly status: number; readonly body: unknown; readonly warning: string }>;
}

function configOf(dataDir: string, env: Readonly<Record<string, string>> = {}) {
  return loadConfig(serverSettings({ env: {}, isRoot: false }), { argv: [], env: { PORT: '0', DATA_DIR: dataDir, ...env } });
}

/** A server on SQLite in a folder, with its key file. */
async function startOn(
  dataDir: string,
  { log = SILENT, env = {} }: { log?: typeof SILENT; env?: Record<string, string> } = {},
): Promise<RunningOn> {
  const server = await startServer({ config: configOf(dataDir, env), clock: systemClock, random: systemRandom, log, listen: false });
  return {
    server,
    call: async (method, url, body) => {
      const type = method === 'PATCH' ? APPLY : 'application/json';
      const answer = await server.app.inject({
        method: method as 'GET',
        url,
        ...(body !== undefined && { payload: JSON.stringify(body), headers: { 'content-type': type } }),
      });
      return { status: answer.statusCode, body: answer.json(), warning: String(answer.headers['warning']) };
    },
    [Symbol.asyncDispose]: async () => server.stop(),
  };
}

async function revealOn(server: RunningOn, name = 'shop'): Promise<unknown> {
  const { body } = await server.call('GET', `/api/v1/secrets/${name}?reveal=true`);
  return (body as { data?: Record<string, string> }).data?.['password'];
}

function refusalOf(start: () => Promise<unknown>): Promise<StartError> {
  return start().then(
    () => assert.fail('it started'),
    (error: unknown) => {
      assert.ok(error instanceof StartError, String(error));
      return error;
    },
  );
}

test('no file of the data folder holds a value, in any of its forms, and the key is for its owner alone', async () => {
  using scratch = makeScratch();
  {
    await using server = await startOn(scratch.path);
    await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop'));
    await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop', { stringData: { password: `${VALUE}2` } }));
    await server.call('DELETE', '/api/v1/secrets/shop');
    await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop'));
    assertNoValue(scratch.path);
  }
  assertNoValue(scratch.path);
  const key = join(scratch.path, 'secret.key');
  assert.equal(statSync(key).mode & 0o777, 0o600);
  chmodSync(key, 0o644);
  await using server = await startOn(scratch.path);
  assert.equal(await revealOn(server), BASE64);
  assert.equal(statSync(key).mode & 0o777, 0o600);
});

function assertNoValue(folder: string): void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(files.some(({ name }) => name === 'cara.db'));
  for (const { parentPath, name } of files) {
    const content = readFileSync(join(parentPath, name));
    const forms = [VALUE, BASE64, Buffer.from(VALUE).toString('hex'), Buffer.from(VALUE, 'utf16le').toString('latin1')];
    for (const form of forms) {
      assert.equal(content.includes(Buffer.from(form, 'latin1')), false, `${name} holds ${form}`);
    }
  }
}

test('a start without the key, or with another one, is refused in words that name the file', async () => {
  using scratch = makeScratch();
  const key = join(scratch.path, 'secret.key');
  {
    await using server = await startOn(scratch.path);
    await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop'));
  }
  const right = readFileSync(key, 'utf8');
  rmSync(key);
  const missing = await refusalOf(() => startOn(scratch.path));
  assert.match(missing.message, new RegExp(`file with their keys is missing: put ${key} back`, 'u'));
  assert.equal(readdirSync(scratch.path).includes('secret.key'), false, 'no other key is made in its place');
  writeFileSync(key, `${Buffer.alloc(32, 7).toString('base64')}\n`);
  const wrong = await refusalOf(() => startOn(scratch.path));
  assert.match(wrong.message, new RegExp(`Cannot read the Secret that is stored as ${key} does not have the key`, 'u'));
  writeFileSync(key, 'not a key\n');
  const broken = await refusalOf(() => startOn(scratch.path));
  assert.match(broken.message, new RegExp(`Cannot use the keys of Secrets in ${key} as a key must be 32 bytes in base64`, 'u'));
  assert.doesNotMatch(broken.message, /not a key\n/u);
  rmSync(key);
  const text = right.split('\n')[1] ?? '';
  for (const env of [{ SECRETS_KEY: text }, { SECRETS_KEY_FILE: join(scratch.path, 'other.key') }]) {
    writeFileSync(join(scratch.path, 'other.key'), right);
    await using server = await startOn(scratch.path, { env });
    assert.equal(await revealOn(server), BASE64);
  }
  const both = await refusalOf(() => startOn(scratch.path, { env: { SECRETS_KEY: text, SECRETS_KEY_FILE: key } }));
  assert.match(both.message, /leave out one of them/u);
  const absent = await refusalOf(() => startOn(scratch.path, { env: { SECRETS_KEY_FILE: key } }));
  assert.match(absent.message, new RegExp(`from ${key} as there is no such file`, 'u'));
});

/** Fails the commit, or lets it through and then fails, as a crash after it would. */
function crashing(store: Store, at: 'before commit' | 'after commit'): Store {
  return {
    ...store,
    get: (kind, name) => store.get(kind, name),
    list: (kind, page) => store.list(kind, page),
    commit: async (writes) => {
      if (at === 'after commit') {
        await store.commit(writes);
      }
      throw new Error('Crashed');
    },
  };
}

test('rotation re-encrypts everything under a new key, survives a crash at each step, and changes no fingerprint', async () => {
  using scratch = makeScratch();
  const key = join(scratch.path, 'secret.key');
  let fingerprints: unknown;
  {
    await using server = await startOn(scratch.path);
    await server.call('PATCH', '/api/v1/secrets/shop', secretOf('shop'));
    await server.call('PATCH', '/api/v1/secrets/blog', secretOf('blog'));
    fingerprints = ((await server.call('GET', '/api/v1/secrets/shop')).body as { status: unknown }).status;
  }
  const rotate = async (wrap: (store: Store) => Store = (store) => store): Promise<unknown> => {
    const config = configOf(scratch.path);
    const store = await openOwnStore({ config, clock: systemClock, log: SILENT });
    try {
      return await rotateKeys({ settings: config, store: wrap(store), clock: systemClock, log: SILENT });
    } finally {
      await store.close();
    }
  };
  const keys = (): readonly string[] => readFileSync(key, 'utf8').trim().split('\n').slice(1);
  const [first] = keys();
  for (const at of ['before commit', 'after commit'] as const) {
    await assert.rejects(() => rotate((store) => crashing(store, at)), /Crashed/u);
    assert.ok(keys().length > 1, at);
    await using server = await startOn(scratch.path);
    assert.equal(await revealOn(server), BASE64, at);
  }
  const { rotated, keyId } = (await rotate()) as { rotated: number; keyId: string };
  assert.equal(rotated, 2);
  assert.equal(keys().length, 1);
  assert.notEqual(keys()[0], first);
  await using server = await startOn(scratch.path);
  assert.equal(await revealOn(server, 'blog'), BASE64);
  assert.deepEqual(((await server.call('GET', '/api/v1/secrets/shop')).body as { status: unknown }).status, fingerprints);
  assert.match(keyId, /^[0-9a-f]{16}$/u);
});

test('rotation with a lost key is refused, or deletes the Secrets under it where that is asked for', async () => {
  const store = createMemoryStore({ clock: systemClock });
  const [lost, kept] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')];
  for (const [name, key] of [
    ['gone', lost],
    ['stays', kept],
  ] as const) {
    await using api = await startApi({ store, config: { SECRETS_KEY: `${key},${lost}` } });
    await apply(api, name);
  }
  const settings = { DATA_DIR: '/nonexistent', SECRETS_KEY: kept, SECRETS_KEY_FILE: undefined };
  const refused = await refusalOf(() => rotateKeys({ settings, store, clock: systemClock, log: SILENT }));
  assert.match(refused.message, /1 of 2 Secrets cannot be read with the keys in SECRETS_KEY/u);
  const { dropped } = await rotateKeys({ settings, store, clock: systemClock, log: SILENT, unreadable: 'drop' });
  assert.deepEqual(dropped, ['gone']);
  await using api = await startApi({ store, config: { SECRETS_KEY: kept } });
  assert.deepEqual(await reveal(api, 'stays'), { password: VALUE });
  assert.equal((await api.call('GET', '/secrets/gone')).status, 404);
});
