import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from './errors.ts';
import { decodeManifest, decodeSecretManifest } from './manifest.ts';
import { listSecretUses } from './project/secret-use.ts';
import { checkProjectSpec } from './project/project-rules.ts';
import type { ProjectSpec, Service } from './project.ts';

const VALUE = 'correct-horse-battery';

function secret(fields: object): object {
  return { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name: 'shop' }, ...fields };
}

function refusalOf(input: unknown, decode: (input: unknown) => unknown = decodeManifest): ApiError {
  try {
    decode(input);
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error;
  }
  return assert.fail(`nothing was refused in ${JSON.stringify(input)}`);
}

test('decodeManifest() takes values in base64, as text, or none', () => {
  for (const fields of [{ data: { a: 'aGVsbG8=' } }, { stringData: { 'db.password': 'x' } }, { type: 'Opaque', data: {} }, {}]) {
    assert.equal(decodeManifest(secret(fields)).kind, 'Secret');
  }
});

test('decodeManifest() never reads a value back, wherever it stands and whatever is wrong', () => {
  const wrong: readonly unknown[] = [
    secret({ data: { a: VALUE } }),
    secret({ data: VALUE }),
    secret({ stringData: VALUE }),
    secret({ stringData: [VALUE] }),
    secret({ stringData: { a: { b: VALUE } } }),
    secret({ stringData: { a: [VALUE] } }),
    secret({ data: { 'no key': VALUE } }),
    secret({ spec: { stringData: { a: VALUE } } }),
    [secret({ stringData: { a: VALUE } })],
    secret({ type: 'dockerconfigjson', stringData: { '.dockerconfigjson': VALUE } }),
    secret({ type: 'dockerconfigjson', stringData: { '.dockerconfigjson': `{"auths":{"r.example":{"auth":"${VALUE}"}}}` } }),
    secret({ type: 'dockerconfigjson', stringData: { password: VALUE } }),
    secret({ stringData: { a: VALUE.repeat(30_000) } }),
  ];
  for (const input of wrong) {
    const error = refusalOf(input);
    assert.doesNotMatch(JSON.stringify([error.message, error.errors]), /correct-horse/u, JSON.stringify(input).slice(0, 200));
    if (!Array.isArray(input)) {
      assert.doesNotMatch(JSON.stringify(refusalOf(input, decodeSecretManifest).errors), /correct-horse/u);
    }
  }
  assert.doesNotMatch(refusalOf([VALUE], decodeSecretManifest).message, /correct-horse/u);
});

test('decodeSecretManifest() says what is wrong with other fields as ever', () => {
  const error = refusalOf(secret({ type: 'opaque', metadata: { name: 'Shop' } }), decodeSecretManifest);
  assert.match(error.message, /\/type must be one of Opaque, dockerconfigjson: current value is "opaque"/u);
  assert.match(error.message, /current value is "Shop"/u);
});

test('keys of a Secret are plain names', () => {
  for (const key of ['', '.', '..', 'a/b', 'a b', 'ü', '__proto__', 'k'.repeat(254)]) {
    const { errors } = refusalOf(JSON.parse(JSON.stringify(secret({}))), (input) =>
      decodeSecretManifest({ ...(input as object), data: JSON.parse(`{${JSON.stringify(key)}:""}`) as unknown }),
    );
    assert.match(errors[0]?.detail ?? '', /is no legal key: it must be a key of a Secret/u, key);
  }
  for (const key of ['a', '.dockerconfigjson', '...', 'TLS.key', '_x-1', 'constructor', 'k'.repeat(253)]) {
    assert.ok(decodeSecretManifest(secret({ data: { [key]: '' } })), key);
  }
});

test('a Secret has at most 512 KiB of values in all', () => {
  const half = Buffer.alloc(256 * 1024).toString('base64');
  assert.ok(decodeSecretManifest(secret({ data: { a: half }, stringData: { b: 'x'.repeat(256 * 1024) } })));
  const { errors } = refusalOf(secret({ data: { a: half, b: half, c: 'AA==' } }));
  assert.deepEqual(errors, [{ pointer: '/data', detail: 'must have at most 512 KiB of values in all: its values have 513 KiB' }]);
});

test('type dockerconfigjson wants credentials in the form of docker', () => {
  const auth = Buffer.from('me:secret').toString('base64');
  const configs: readonly (readonly [unknown, RegExp | undefined])[] = [
    [{ auths: { 'r.example': { auth } } }, undefined],
    [{ auths: { 'r.example': { username: 'me', password: 'x' } }, credsStore: 'desktop' }, undefined],
    [{ auths: { 'r.example': { identitytoken: 'x' } } }, undefined],
    [{}, /map auths with a registry/u],
    [{ auths: {} }, /map auths with a registry/u],
    [{ auths: { 'r.example': {} } }, /auths of "r.example" has no credentials/u],
    [{ auths: { 'r.example': { auth: 'bm9jb2xvbg==' } } }, /base64 of user:password/u],
    [{ auths: { 'r.example': [] } }, /must be a map/u],
    [[], /must be JSON as docker writes it/u],
  ];
  for (const [config, words] of configs) {
    const text = JSON.stringify(config);
    for (const content of [
      { stringData: { '.dockerconfigjson': text } },
      { data: { '.dockerconfigjson': Buffer.from(text).toString('base64') } },
    ]) {
      const manifest = secret({ type: 'dockerconfigjson', ...content });
      if (words === undefined) {
        assert.ok(decodeSecretManifest(manifest), text);
      } else {
        assert.match(refusalOf(manifest).errors[0]?.detail ?? '', words, text);
      }
    }
  }
  assert.match(refusalOf(secret({ type: 'dockerconfigjson', data: { other: '' } })).errors[0]?.detail ?? '', /whose one key is/u);
});

const ref = (name: string, key: string) => ({ secretKeyRef: { name, key } });

function specOf(...services: readonly Partial<Service>[]): ProjectSpec {
  return { services: services.map((service, index) => ({ name: `s${index}`, image: 'web:1', ...service })) };
}

test('listSecretUses() names each Secret once, with the keys that are used and whether all are', () => {
  const spec = specOf(
    {
      env: [
        { name: 'P', valueFrom: ref('shop', 'b') },
        { name: 'Q', value: 'x' },
      ],
      envFrom: [{ secretRef: { name: 'all' } }],
    },
    {
      env: [{ name: 'P', valueFrom: ref('shop', 'b') }],
      files: [
        { mountPath: '/k', ...ref('shop', 'a') },
        { mountPath: '/c', content: '' },
      ],
    },
  );
  assert.deepEqual(listSecretUses(spec), [
    { name: 'all', keys: [], isWhole: true },
    { name: 'shop', keys: ['a', 'b'], isWhole: false },
  ]);
  assert.deepEqual(listSecretUses(specOf({})), []);
});

test('checkProjectSpec() wants of each file one source and a place of its own', () => {
  const volumes = [{ name: 'data' }];
  const volumeMounts = [{ name: 'data', mountPath: '/var/lib/app/' }];
  const check = (...files: NonNullable<Service['files']>): readonly string[] =>
    checkProjectSpec({ ...specOf({ files, volumeMounts }), volumes }).map(({ pointer, detail }) => `${pointer} ${detail}`);
  assert.deepEqual(check({ mountPath: '/etc/app/a.yaml', content: '' }, { mountPath: '/etc/app/b', ...ref('s', 'k') }), []);
  assert.match(check({ mountPath: '/a' })[0] ?? '', /^\/spec\/services\/0\/files\/0 must have content or secretKeyRef$/u);
  assert.match(check({ mountPath: '/a', content: '', ...ref('s', 'k') })[0] ?? '', /has both content and secretKeyRef: keep one/u);
  for (const [mountPath, words] of [
    ['/', /must be the plain path of a file/u],
    ['/etc/', /must be the plain path of a file/u],
    ['/etc/../a', /must be the plain path of a file/u],
    ['/etc//a', /must be the plain path of a file/u],
    ['/proc/a', /must not be below \/proc/u],
    ['/dev', /must not be \/dev/u],
    ['/etc/hosts', /must not be \/etc\/hosts/u],
    ['/var/lib/app/a', /must not be in a volume: data is mounted at \/var\/lib\/app\//u],
    ['/var/lib', /must not be in a volume/u],
  ] as const) {
    assert.match(check({ mountPath, content: '' })[0] ?? '', words, mountPath);
  }
  assert.deepEqual(check({ mountPath: '/var/lib/application', content: '' }, { mountPath: '/process', content: '' }), []);
  assert.match(
    check({ mountPath: '/a', content: '' }, { mountPath: '/a', content: '' })[0] ?? '',
    /files\/1\/mountPath names the file "\/a" a second time/u,
  );
  assert.match(
    check({ mountPath: '/a/b', content: '' }, { mountPath: '/a', content: '' })[0] ?? '',
    /must not be below \/a, which is a file too/u,
  );
});
