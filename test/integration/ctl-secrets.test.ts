/** caractrl with Secrets, over HTTP: what it sends, and that it shows no value that was not asked for. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { ctl, type CtlResult } from '../support/worlds/ctl.ts';
import { makeScratch } from '../support/scratch.ts';

const VALUE = 'correct-horse-battery';
const BASE64 = Buffer.from(VALUE).toString('base64');
const MANIFEST = `apiVersion: caravanserai/v1
kind: Secret
metadata: { name: shop, labels: { tier: db } }
stringData:
  password: ${VALUE}
  certificate: "line 1\\nline 2\\n"
`;
const PROJECT = `---
apiVersion: caravanserai/v1
kind: Project
metadata: { name: web }
spec:
  services:
    - name: web
      image: web:1
      env: [ { name: PASSWORD, valueFrom: { secretKeyRef: { name: shop, key: password } } } ]
      envFrom: [ { secretRef: { name: extra }, prefix: EXTRA_ } ]
      files: [ { mountPath: /etc/cert, secretKeyRef: { name: shop, key: certificate } }, { mountPath: /etc/conf, content: hello } ]
`;

async function start(): Promise<{
  readonly api: ApiServer;
  readonly run: (args: readonly string[], stdin?: string) => Promise<CtlResult>;
}> {
  const api = await startApiOn({ clock: systemClock, listen: true });
  return { api, run: (args, stdin) => ctl(args, { server: api.server.url, ...(stdin !== undefined && { stdin }) }) };
}

function assertHidden({ stdout, stderr }: CtlResult): void {
  assert.doesNotMatch(stdout + stderr, new RegExp(`${VALUE}|${BASE64}`, 'u'));
}

test('apply takes Secrets before the Projects that use them, and neither it nor get nor describe shows a value', async () => {
  const { api, run } = await start();
  await using _ = api;
  const applied = await run(['apply', '-f', '-'], `${PROJECT}---\n${MANIFEST}`);
  assert.equal(applied.stdout, 'secret/shop created\nproject/web created\n', applied.stderr);
  assert.equal((await run(['apply', '-f', '-'], MANIFEST)).stdout, 'secret/shop unchanged\n');
  const shown = [
    await run(['apply', '-f', '-', '-o', 'yaml'], MANIFEST),
    await run(['get', 'secrets']),
    await run(['get', 'secrets', '-o', 'wide']),
    await run(['get', 'secret/shop', '-o', 'json']),
    await run(['get', 'secrets', '-o', 'yaml', '-l', 'tier=db']),
    await run(['describe', 'secret', 'shop']),
    await run(['describe', 'secret', 'shop', '-o', 'json']),
    await run(['describe', 'project', 'web']),
    await run(['label', 'secret', 'shop', 'tier=web']),
    await run(['get', 'all']),
  ];
  for (const [index, result] of shown.entries()) {
    assert.equal(result.code, 0, `${index}: ${result.stderr}`);
    assertHidden(result);
  }
  assert.match(shown[1]?.stdout ?? '', /^NAME +TYPE +KEYS +SIZE +AGE\nshop +Opaque +2 +35B +\d+s\n$/u);
  assert.match(shown[2]?.stdout ?? '', /certificate,password\n$/u);
  assert.match(shown[5]?.stdout ?? '', /Used by: +project\/web\n/u);
  assert.match(shown[5]?.stdout ?? '', /password +21B +[0-9a-f]{12}\n/u);
  const project = shown[7]?.stdout ?? '';
  assert.match(project, /Missing secrets: +extra\n/u);
  assert.match(project, /PASSWORD from key password of secret shop/u);
  assert.match(project, /EXTRA_\* from all keys of secret extra/u);
  assert.match(project, /\/etc\/cert from key certificate of secret shop/u);
});

test('what get prints can be applied again and leaves the values', async () => {
  const { api, run } = await start();
  await using _ = api;
  await run(['apply', '-f', '-'], MANIFEST);
  const { stdout } = await run(['get', 'secret', 'shop', '-o', 'yaml']);
  const again = await run(['apply', '-f', '-'], stdout);
  assert.equal(again.stdout, 'secret/shop unchanged\n', again.stderr);
  assert.match((await run(['describe', 'secret', 'shop', '--reveal'])).stdout, new RegExp(`password: +${VALUE}\n`, 'u'));
});

test('--reveal shows values of Secrets that are named, as documents or in describe', async () => {
  const { api, run } = await start();
  await using _ = api;
  await run(['apply', '-f', '-'], MANIFEST);
  const document = await run(['get', 'secret', 'shop', '--reveal', '-o', 'json']);
  assert.equal((JSON.parse(document.stdout) as { data: Record<string, string> }).data['password'], BASE64);
  const described = await run(['describe', 'secret', 'shop', '--reveal']);
  assert.match(described.stdout, /certificate: +line 1\n +line 2\n/u);
  for (const args of [
    ['get', 'secrets', '--reveal', '-o', 'json'],
    ['get', 'secret', 'shop', '--reveal'],
    ['get', 'secret', 'shop', '--reveal', '-o', 'json', '-w'],
    ['get', 'nodes', 'a', '--reveal', '-o', 'json'],
  ]) {
    const refused = await run(args);
    assert.equal(refused.code, 2, args.join(' '));
    assert.match(refused.stderr, /name the Secrets, and use -o json or -o yaml/u);
    assertHidden(refused);
  }
});

test('a mistake in a Secret is told with its place and without its value', async () => {
  const { api, run } = await start();
  await using _ = api;
  const head = 'apiVersion: caravanserai/v1\nkind: Secret\nmetadata: { name: shop }\n';
  for (const [body, words] of [
    [`data:\n  password: ${VALUE}\n`, /5:\d+: \/data\/password must be base64 without line breaks \(plain text goes into stringData\)\n/u],
    ['stringData:\n  password: 8080\n', /\/stringData\/password must be text \(quote numbers and booleans\)\n/u],
    [`stringData: ${VALUE}\n`, /\/stringData must be a map of fields\n/u],
    [`stringData:\n  "pass word": ${VALUE}\n`, /\/stringData\/pass word is no legal key/u],
    [`stringData:\n  a: "${VALUE}\n`, /is no YAML/u],
    [`stringData:\n  a: ${VALUE}: ${VALUE}\n`, /is no YAML/u],
    [`stringData:\n\ta: ${VALUE}\n`, /is no YAML|a tab/u],
    [`stringData:\n  a: !${VALUE} x\n  b: *${VALUE}\n`, /<stdin>:/u],
  ] as const) {
    const result = await run(['apply', '-f', '-'], head + body);
    assert.equal(result.code, 1, body);
    assert.match(result.stderr, words);
    if (!body.includes('!')) {
      assertHidden(result);
    }
  }
});

test('create makes a Secret of literals, files and standard input', async () => {
  using scratch = makeScratch();
  const { api, run } = await start();
  await using _ = api;
  const file = join(scratch.path, 'key.pem');
  writeFileSync(file, Buffer.from([0, 255, 10]));
  const literal = ['--from-literal', `password=${VALUE}=x`];
  const created = await run(
    ['create', 'secret', 'generic', 'shop', ...literal, '--from-file', file, `--from-file=other=${file}`, '--from-file=in=-'],
    'piped\n',
  );
  assert.deepEqual([created.code, created.stdout], [0, 'secret/shop created\n']);
  assert.match(created.stderr, /^note: the value of in ends with a line feed, [^\n]*\n$/u, 'of text alone');
  const { stdout } = await run(['get', 'secret', 'shop', '--reveal', '-o', 'json']);
  const binary = Buffer.from([0, 255, 10]).toString('base64');
  const { data } = JSON.parse(stdout) as { data: object };
  assert.deepEqual(data, {
    password: Buffer.from(`${VALUE}=x`).toString('base64'),
    'key.pem': binary,
    other: binary,
    in: Buffer.from('piped\n').toString('base64'),
  });
  const twice = await run(['create', 'secret', 'generic', 'shop', ...literal]);
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /exists/u);
  const config = join(scratch.path, 'config.json');
  writeFileSync(config, JSON.stringify({ auths: { 'r.example': { auth: Buffer.from('me:x').toString('base64') } } }));
  const registry = [
    'create',
    'secret',
    'registry',
    '--type',
    'dockerconfigjson',
    '--from-file',
    `.dockerconfigjson=${config}`,
    '-o',
    'json',
  ];
  assert.equal((JSON.parse((await run(registry)).stdout) as { type: string }).type, 'dockerconfigjson');
});

test('create --replace puts values in place of those that are there; without it that is refused with it', async () => {
  const { api, run } = await start();
  await using _ = api;
  const create = (...rest: readonly string[]) => run(['create', 'secret', 'generic', 'shop', '--from-file=token=-', ...rest], VALUE);
  assert.equal((await create('--replace')).stdout, 'secret/shop created\n');
  const again = await create();
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^error: .*exists already\nhint: add --replace /u);
  assert.equal((await create('--replace')).stdout, 'secret/shop unchanged\n');
  assert.equal((await run(['create', 'secret', 'shop', '--from-literal=other=1', '--replace'])).stdout, 'secret/shop configured\n');
  const { status } = (await api.call('GET', '/secrets/shop')).body;
  assert.deepEqual(
    status.keys.map(({ name }: { name: string }) => name),
    ['other'],
  );
});

test('create says of a value of one line that its line feed belongs to it', async () => {
  const { api, run } = await start();
  await using _ = api;
  const said = await run(['create', 'secret', 'shop', '--from-file=token=-'], `${VALUE}\n`);
  assert.equal(said.code, 0);
  assert.match(said.stderr, /^note: the value of token ends with a line feed, [^\n]*\n$/u);
  assert.ok(!said.stderr.includes(VALUE));
  assert.equal((await run(['create', 'secret', 'other', '--from-file=pem=-'], 'line 1\nline 2\n')).stderr, '');
});

test('create refuses what is no Secret, in words without a value', async () => {
  using scratch = makeScratch();
  const { api, run } = await start();
  await using _ = api;
  const big = join(scratch.path, 'big');
  writeFileSync(big, Buffer.alloc(512 * 1024 + 1));
  for (const [args, code, words] of [
    [['create', 'secret', 'generic', 'shop'], 2, /without values/u],
    [['create', 'secret', 'generic'], 2, /without values|give one name/u],
    [['create', 'project', 'shop', '--from-literal', 'a=b'], 2, /anything but Secrets/u],
    [['create', 'secret', 'generic', 'shop', '--from-literal', VALUE], 2, /--from-literal number 1 as it must be KEY=VALUE/u],
    [['create', 'secret', 'generic', 'shop', '--from-literal', 'a=1', '--from-literal', 'a=2'], 2, /"a" is given twice/u],
    [['create', 'secret', 'generic', 'shop', '--from-file', '-'], 2, /Cannot tell the key/u],
    [['create', 'secret', 'generic', 'shop', '--from-file', '/nonexistent/x'], 1, /Cannot read \/nonexistent\/x/u],
    [['create', 'secret', 'generic', 'shop', '--from-file', scratch.path], 1, /Cannot read/u],
    [['create', 'secret', 'generic', 'shop', '--from-file', big], 1, /at most 512 KiB/u],
    [
      ['create', 'secret', 'generic', 'shop', '--type', 'tls', '--from-literal', `a=${VALUE}`],
      1,
      /must be one of Opaque, dockerconfigjson/u,
    ],
    [['create', 'secret', 'generic', 'shop', '--from-literal', `a b=${VALUE}`], 1, /is no legal key/u],
  ] as const) {
    const result = await run(args);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, words);
    assertHidden(result);
  }
});

test('delete warns of the Projects that still use the Secret', async () => {
  const { api, run } = await start();
  await using _ = api;
  await run(['apply', '-f', '-'], MANIFEST + PROJECT);
  const deleted = await run(['delete', 'secret', 'shop', '--force']);
  assert.equal(deleted.stdout, 'secret/shop deleted\n');
  assert.match(deleted.stderr, /^warning: secret\/shop: still used by web: what runs there runs on, new containers wait/u);
  assert.match((await run(['describe', 'project', 'web'])).stdout, /Missing secrets: +extra\n +shop\n/u);
  assert.equal((await run(['delete', 'secrets', 'shop'])).code, 1);
});
