/** What an attacker tries at the API, over a real socket where it matters. Credentials and their theft are in access.test.ts, TLS in tls.test.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { APPLY, MERGE, manifestOf, startApi, startApiOn, type ApiServer } from '../support/worlds/api.ts';

describe('header smuggling', () => {
  let api: ApiServer;
  before(async () => {
    api = await startApiOn({ clock: systemClock, listen: true });
  });
  after(() => api[Symbol.asyncDispose]());

  /** Everything that the server says to these bytes until it closes, or has said `enough`. */
  async function send(bytes: string, enough = /\r\n\r\n/u): Promise<string> {
    const { hostname, port } = new URL(api.server.url);
    const socket = net.connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write(bytes, 'latin1');
    let said = '';
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('data', (chunk) => {
      said += String(chunk);
      if (enough.test(said)) {
        resolve();
      }
    });
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
    await promise;
    socket.destroy();
    return said;
  }

  const HIDDEN = 'DELETE /api/v1/nodes/victim HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const CASES: readonly (readonly [string, string])[] = [
    [
      'a length and chunks',
      `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ],
    ['two lengths', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 66\r\n\r\n${HIDDEN}`],
    ['a length that is none', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nabcde`],
    ['chunks by another name', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n${HIDDEN}`],
    ['chunks twice', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ['a space before the colon', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Length : 66\r\n\r\n${HIDDEN}`],
    ['a folded header', `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n Content-Length: 66\r\n\r\n${HIDDEN}`],
    ['a header without a name', `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n`],
    ['a NUL in a header', `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n`],
    ['bare line feeds', `GET /api/healthz HTTP/1.1\nHost: localhost\n\n`],
    ['a bare carriage return', `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nX-A: a\rTransfer-Encoding: chunked\r\n\r\n`],
    [
      'a broken chunk',
      `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    ],
    ['a host before ours', `GET /api/healthz HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n`],
    ['a host behind ours', `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n`],
    ['our host twice', `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n\r\n`],
    ['no host', `GET /api/healthz HTTP/1.1\r\n\r\n`],
    ['a space in the path', `GET /api/healthz x HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['another protocol', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`],
  ];

  for (const [what, bytes] of CASES) {
    test(`${what}: refused, and what is hidden behind it is not done`, async () => {
      await api.apply('Node', 'victim');
      const said = await send(bytes);
      const statuses = [...said.matchAll(/^HTTP\/1\.1 (\d)/gmu)].map(([, first]) => first);
      assert.ok(statuses.length > 0 && statuses.every((first) => first === '4'), said);
      assert.equal((await api.call('GET', '/nodes/victim')).status, 200);
    });
  }

  test('headers and URLs beyond 16 KiB get 431, in the documented form', async () => {
    for (const bytes of [
      `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`,
      `GET /api/healthz?${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\n${'X-A: b\r\n'.repeat(3000)}\r\n`,
    ]) {
      assert.match(await send(bytes, /\r\n\r\n\{.*\}/u), /^HTTP\/1\.1 431 .*application\/problem\+json.*headers are larger than 16 KiB/su);
    }
  });

  test('who sends slowly, or nothing, has a limit to it', () => {
    const { server } = api.server.app;
    assert.deepEqual([server.headersTimeout, server.requestTimeout], [20_000, 60_000]);
    assert.ok(server.keepAliveTimeout > 0 && server.maxConnections >= 256 && server.maxConnections <= 100_000);
  });
});

describe('bodies', () => {
  test('one beyond 1 MiB gets 413, one nested too deep 400, and neither takes long', async () => {
    await using api = await startApi();
    const huge = await api.call('POST', '/projects', { body: `{"a":"${'x'.repeat(1024 * 1024)}"}` });
    assert.deepEqual([huge.status, huge.body.reason], [413, 'PayloadTooLarge']);
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const deep = await api.call('POST', '/projects', { body: `${open.repeat(100_000)}1${close.repeat(100_000)}` });
      assert.deepEqual([deep.status, deep.body.reason], [400, 'Invalid']);
      assert.match(deep.body.detail, /nested deeper than 100 levels/u);
    }
  });

  test('names that mean something to JavaScript are names like any other, and change no object but their own', async () => {
    await using api = await startApi();
    await api.apply('Node', 'worker-01');
    const traps = ['{"__proto__":{"polluted":"yes"}}', '{"constructor":{"prototype":{"polluted":"yes"}}}'];
    for (const trap of traps) {
      const bodies = [
        trap,
        `{"metadata":{"labels":${trap}}}`,
        `{"spec":${trap}}`,
        `{"metadata":${trap}}`,
        `{"metadata":{"annotations":${trap}}}`,
      ];
      for (const body of bodies) {
        const answers = [
          await api.call('PATCH', '/nodes/worker-01', { body, type: MERGE }),
          await api.call('PATCH', '/nodes/worker-01', { body, type: APPLY }),
          await api.call('POST', '/nodes/worker-01/heartbeat', { body }),
          await api.call('GET', `/nodes?__proto__[polluted]=yes&constructor.prototype.polluted=yes`),
        ];
        assert.ok(answers.every(({ status }) => status < 500));
        assert.equal(({} as Record<string, unknown>)['polluted'], undefined, body);
      }
    }
    const label = await api.call('PATCH', '/nodes/worker-01', { body: '{"metadata":{"labels":{"__proto__":"x"}}}', type: MERGE });
    assert.ok(label.status === 400 || Object.hasOwn(label.body.metadata.labels, '__proto__'), 'refused, or kept as what it is');
  });
});

describe('names', () => {
  const TRAVERSALS = [
    '..',
    '.',
    '../../etc/passwd',
    '..%2f..%2fetc',
    '%2e%2e%2fsecrets',
    'a/../b',
    'a\\..\\b',
    'a\0b',
    '/etc/passwd',
    'C:\\x',
    'a\nb',
    '~root',
  ];

  test('no name leads out of where it belongs', async () => {
    await using api = await startApi();
    for (const name of TRAVERSALS) {
      for (const kind of ['Node', 'Project'] as const) {
        const made = await api.call('POST', `/${kind.toLowerCase()}s`, { body: manifestOf(kind, name) });
        assert.equal(made.status, 400, `${kind} ${name}`);
        const applied = await api.call('PATCH', `/${kind.toLowerCase()}s/${encodeURIComponent(name)}`, {
          body: manifestOf(kind, name),
          type: APPLY,
        });
        assert.ok([400, 404].includes(applied.status), `${kind} ${name}: ${applied.status}`);
      }
    }
    assert.equal((await api.call('GET', '/projects/../../openapi.json')).body.openapi, undefined);
  });

  test('neither do services, volumes and files', async () => {
    await using api = await startApi();
    const service = { name: 'web', image: 'shop/web:3' };
    for (const name of TRAVERSALS) {
      const specs = [
        { services: [{ ...service, name }] },
        { services: [service], volumes: [{ name, type: 'Managed' }] },
        { services: [{ ...service, files: [{ mountPath: `/etc/${name}/../../x`, content: 'x' }] }] },
        { services: [{ ...service, env: [{ name: 'A', valueFrom: { secretKeyRef: { name, key: 'a' } } }] }] },
      ];
      for (const spec of specs) {
        const { status } = await api.call('POST', '/projects', { body: manifestOf('Project', 'shop', { spec }) });
        assert.equal(status, 400, JSON.stringify(spec));
      }
    }
  });
});

test('nothing of ours passes a shell: other programs are started from three places, each with a list of arguments', () => {
  const root = path.join(import.meta.dirname, '../../src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
  );
  const starting = files.filter((name) => /child_process/u.test(readFileSync(path.join(root, name), 'utf8'))).toSorted();
  assert.deepEqual(starting, ['agent/fence/guard-process.ts', 'ctl/commands/simulate.ts', 'ctl/process.ts']);
  for (const name of starting) {
    const text = readFileSync(path.join(root, name), 'utf8');
    assert.match(text, /\bspawn(?:Sync)?\((?:process\.execPath|'stty'), \[/u);
    assert.doesNotMatch(text, /shell: |\bexec(?:Sync|File)?\(/u);
  }
});
