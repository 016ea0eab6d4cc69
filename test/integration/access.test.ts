/** What callers see of what they may see, and attacks: forged, expired and revoked credentials, another's name, limits, privileges. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TokenLimit } from '../../src/api/token.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newClusterRecord, type ClusterRecord } from '../../src/server/cluster/cluster-record.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { APPLY, manifestOf, MERGE, startApi, startApiOn } from '../support/worlds/api.ts';
import {
  findAdminToken,
  NAMES,
  projectManifest,
  projectSpec,
  secretManifest,
  startAccessWorld,
  type AccessWorld,
} from '../support/worlds/access-world.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

let world: AccessWorld;
before(async () => {
  world = await startAccessWorld();
});
after(() => world[Symbol.asyncDispose]());

const { own, foreign } = NAMES;

async function namesOf(caller: Parameters<AccessWorld['as']>[0], path: string): Promise<readonly string[]> {
  const { status, body } = await world.as(caller, 'GET', path);
  assert.equal(status, 200, JSON.stringify(body));
  return (body.items as { readonly metadata: { readonly name: string } }[]).map(({ metadata }) => metadata.name);
}

describe('lists', () => {
  test('a node sees itself and the Projects that are bound to it', async () => {
    assert.deepEqual(await namesOf('node', '/nodes'), [own.node]);
    assert.deepEqual(await namesOf('node', '/projects'), [own.project]);
    assert.deepEqual(await namesOf('node', `/projects?nodeRef=${own.node}`), [own.project]);
    assert.deepEqual(await namesOf('node', '/volumes'), [`${own.node}/${own.volume}`]);
    const other = await world.as('node', 'GET', `/projects?nodeRef=${foreign.node}&watch=true`);
    assert.deepEqual([other.status, other.body.reason], [403, 'Forbidden']);
  });

  test('a limited token sees its Projects, their Secrets and Events, and every node', async () => {
    for (const caller of ['team viewer', 'team editor'] as const) {
      assert.deepEqual(await namesOf(caller, '/projects'), [own.project]);
      assert.deepEqual(await namesOf(caller, '/secrets'), [own.secret]);
      assert.deepEqual(await namesOf(caller, '/volumes'), [`${own.node}/${own.volume}`]);
      assert.deepEqual(await namesOf(caller, '/nodes'), [foreign.node, own.node]);
      const { body } = await world.as(caller, 'GET', '/events');
      const subjects = new Set(
        (body.items as { object: { kind: string; name: string } }[]).map(({ object }) => `${object.kind}/${object.name}`),
      );
      assert.ok(subjects.has(`Project/${own.project}`) && !subjects.has(`Project/${foreign.project}`), [...subjects].join());
    }
    const { body } = await world.as('admin', 'GET', `/events?object=Project/${foreign.project}`);
    const hidden = await world.as('team viewer', 'GET', `/events/${body.items[0].metadata.name}`);
    assert.equal(hidden.status, 404);
  });

  test('a refusal says what is missing and who one is', async () => {
    const { body } = await world.as('viewer', 'POST', '/projects', { body: {} });
    assert.equal(body.detail, 'Cannot POST /api/v1/projects as that needs role editor: you are vi (viewer)');
    const limited = await world.as('team editor', 'GET', `/projects/${foreign.project}`);
    assert.equal(
      limited.body.detail,
      'Cannot read project "team-b-shop" as your token is limited to names that begin with team-a- and labels team=a: you are ted (editor)',
    );
    const reveal = await world.as('editor', 'GET', `/secrets/${own.secret}?reveal=true`);
    assert.match(reveal.body.detail, /needs the right secrets: you are ed \(editor\)$/u);
    const node = await world.as('node', 'POST', `/nodes/${foreign.node}/heartbeat`, { body: {} });
    assert.match(node.body.detail, /a node speaks for itself alone: you are node w-own$/u);
  });
});

describe('credentials', () => {
  const attempts = async (token: string): Promise<number> => (await world.with(token, 'GET', '/nodes')).status;

  test('what is forged, cut, of another scheme or of nobody is 401, in one form', async () => {
    const good = world.tokens.get('viewer') ?? '';
    const [, id = '', secret = ''] = /^cara_([^_]+)_(.*)$/u.exec(good) ?? [];
    const forged = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`;
    assert.equal(await attempts(good), 200);
    for (const token of [
      `cara_${id}_${forged}`,
      good.slice(0, -1),
      `${good}A`,
      `cara_t${'0'.repeat(15)}_${secret}`,
      `cara_${id}_`,
      'x',
      '../../etc',
      '%00',
    ]) {
      assert.equal(await attempts(token), 401, token);
    }
    for (const authorization of [`Basic ${good}`, good, 'Bearer', `Bearer ${good} ${good}`]) {
      const answer = await world.api.call('GET', '/nodes', { headers: { authorization } });
      assert.deepEqual([answer.status, answer.headers['www-authenticate']], [401, 'Bearer realm="caravanserai"'], authorization);
    }
    assert.equal((await world.api.call('GET', `/nodes?token=${good}&access_token=${good}`)).status, 401);
  });

  test('one that has expired is told so, and its open watch ends', async () => {
    const { token } = await world.createToken({ role: 'viewer', user: 'brief', ttl: '1m' });
    assert.equal(await attempts(token), 200);
    await world.api.clock.advance(60_000);
    const late = await world.with(token, 'GET', '/nodes');
    assert.deepEqual([late.status, /the token t[0-9a-f]+ expired at /u.test(late.body.detail)], [401, true]);
  });

  test('one that is revoked is nothing any more, with the next request', async () => {
    const { token, id } = await world.createToken({ role: 'viewer', user: 'gone' });
    assert.equal(await attempts(token), 200);
    assert.equal((await world.as('admin', 'DELETE', `/tokens/${id}`)).status, 200);
    assert.equal(await attempts(token), 401);
    assert.equal((await world.as('admin', 'DELETE', `/tokens/${id}`)).status, 404);
  });

  test('tokens are stored hashed, listed without secrets, and shown once', async () => {
    const { token, id } = await world.createToken({ role: 'viewer', user: 'once' });
    const secret = token.slice(-43);
    const { items } = await world.api.store.list('Token');
    assert.ok(items.some(({ metadata }) => metadata.name === id));
    assert.ok(!JSON.stringify(items).includes(secret));
    const listed = await world.as('admin', 'GET', '/tokens');
    assert.ok(!JSON.stringify(listed.body).includes(secret) && !JSON.stringify(listed.body).includes('hash'));
  });

  test('who guesses is slowed down, and who has a good token is not held up by it', async () => {
    await using other = await startAccessWorld();
    const statuses: number[] = [];
    for (let index = 0; index < 40; index += 1) {
      statuses.push((await other.with(`cara_t${String(index).padStart(15, '0')}_${'A'.repeat(43)}`, 'GET', '/nodes')).status);
    }
    assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429]);
    assert.equal((await other.as('viewer', 'GET', '/nodes')).status, 200);
    await other.api.clock.advance(2000);
    assert.equal((await other.with(`cara_t${'f'.repeat(15)}_${'A'.repeat(43)}`, 'GET', '/nodes')).status, 401);
  });

  test('a token that asks without end is told when to come again, and keeps no other out', async () => {
    await using other = await startAccessWorld();
    let last = await other.as('viewer', 'GET', '/auth/whoami');
    for (let count = 1; count < 2500 && last.status === 200; count += 1) {
      last = await other.as('viewer', 'GET', '/auth/whoami');
    }
    assert.deepEqual([last.status, last.headers['retry-after']], [429, '1']);
    assert.match(last.body.detail, /too many requests by the same token, which may ask 200 times a second: try again in 1 s$/u);
    assert.equal((await other.as('editor', 'GET', '/auth/whoami')).status, 200);
    await other.api.clock.advance(1000);
    assert.equal((await other.as('viewer', 'GET', '/auth/whoami')).status, 200);
  });

  test('a body is not even read for who may not come in', async () => {
    for (const body of ['{', 'x'.repeat(100), '['.repeat(5000)]) {
      assert.equal((await world.api.call('POST', '/projects', { body, type: 'nonsense' })).status, 401);
      assert.equal((await world.as('viewer', 'POST', '/projects', { body })).status, 403);
    }
  });

  test('what a request for a token must say is told with its pointer', async () => {
    for (const [body, pointer] of [
      [{ role: 'viewer' }, '/user'],
      [{ role: 'root', user: 'a' }, '/role'],
      [{ role: 'admin', user: 'a', limit: { namePrefix: 'a' } }, '/limit'],
      [{ role: 'viewer', user: 'a', limit: {} }, '/limit'],
      [{ role: 'viewer', user: 'a', limit: { labelSelector: '=' } }, '/limit/labelSelector'],
      [{ role: 'viewer', user: 'a', node: 'w' }, '/node'],
      [{ role: 'node', rights: ['exec'] }, '/rights'],
      [{ role: 'viewer', user: 'a', ttl: '0s' }, '/ttl'],
      [{ role: 'viewer', user: 'a b' }, '/user'],
    ] as const) {
      const answer = await world.as('admin', 'POST', '/tokens', { body });
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [400, pointer], JSON.stringify(answer.body));
    }
  });
});

describe('limits', () => {
  test('nothing gets in or out of a limit by changing its labels, nor under another name', async () => {
    const relabel = (to: string) => ({ body: { metadata: { labels: { team: to } } }, type: MERGE });
    for (const [path, options] of [
      [`/projects/${own.project}`, relabel('b')],
      [`/projects/${foreign.project}`, relabel('a')],
      [`/secrets/${foreign.secret}`, relabel('a')],
      [`/projects/team-a-..%2F${foreign.project}`, relabel('a')],
      [`/projects/team-a-new`, { body: projectManifest('team-a-new', 'b', projectSpec(own.secret)), type: APPLY }],
      [`/projects/other`, { body: projectManifest('other', 'a', projectSpec(own.secret)), type: APPLY }],
    ] as const) {
      const before = await world.api.store.version();
      const { status, body } = await world.as('team editor', 'PATCH', path, options);
      assert.ok(status === 403 || status === 404, `${path} ${status} ${JSON.stringify(body)}`);
      assert.equal(await world.api.store.version(), before);
    }
  });

  test('a limited token gets at no foreign Secret by using it in a Project', async () => {
    for (const secret of [foreign.secret, 'team-a-none']) {
      const body = projectManifest('team-a-thief', 'a', projectSpec(secret));
      const { status, body: problem } = await world.as('team editor', 'PATCH', '/projects/team-a-thief', { body, type: APPLY });
      assert.equal(status, 403, JSON.stringify(problem));
      assert.match(problem.detail, new RegExp(`secret "${secret}"`, 'u'));
    }
  });

  test('of what nodes hold since a restore a limited token sees its own names, none by labels, and adopts nothing', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const at = new Date(clock.wallMs()).toISOString();
    const epoch = { id: 'restored', restoredAt: at, backupAt: at, assignmentBase: 1_000_000 };
    await store.commit([{ op: 'create', object: { ...newClusterRecord('cluster-1', at), epoch } as unknown as ClusterRecord }]);
    await using other = await startAccessWorld({ clock, store });
    const hold = (name: string): object => ({
      metadata: {
        name,
        uid: `uid-of-${name}`,
        generation: 1,
        labels: { team: 'a' },
        annotations: {},
        createdAt: '2026-01-01T00:00:00.000Z',
      },
      spec: { services: [{ name: 'web', image: 'shop/web:3' }] },
      assignment: 1,
    });
    const projects = ['team-a-lost', 'team-b-lost'].map(hold);
    const report = await other.as('admin', 'PUT', `/nodes/${own.node}/held-projects`, { body: { epoch: epoch.id, projects } });
    assert.equal(report.status, 204, JSON.stringify(report.body));
    const seen = async (limit: TokenLimit | undefined): Promise<readonly string[]> => {
      const { token } = await other.createToken({ role: 'editor', user: 'ed', ...(limit && { limit }) });
      assert.equal((await other.with(token, 'POST', `/nodes/${own.node}/held-projects/team-a-lost/adopt`)).status, 403);
      const { body } = await other.with(token, 'GET', '/held-projects');
      return (body.items as readonly { readonly project: string }[]).map(({ project }) => project);
    };
    assert.deepEqual(await seen(undefined), ['team-a-lost', 'team-b-lost']);
    assert.deepEqual(await seen({ namePrefix: 'team-a-' }), ['team-a-lost']);
    assert.deepEqual(await seen({ labelSelector: 'team=a' }), [], 'labels are the word of the node alone');
  });

  test('a watch of a limited token tells nothing of what leaves its limit but that it is gone', async () => {
    const { token } = await world.createToken({ role: 'viewer', user: 'w', limit: { labelSelector: 'team=a' } });
    const listed = await world.with(token, 'GET', '/projects');
    const since = listed.body.metadata.resourceVersion as string;
    await world.as('admin', 'POST', '/secrets', { body: secretManifest('team-a-x', 'a') });
    const body = projectManifest('moving', 'a', { services: [{ name: 'web', image: 'a:1' }] });
    await world.as('admin', 'POST', '/projects', { body });
    const spec = { services: [{ name: 'web', image: 'b:2', env: [{ name: 'P', value: 'hidden' }] }] };
    await world.as('admin', 'PATCH', '/projects/moving', { body: projectManifest('moving', 'b', spec), type: APPLY });
    const request = { headers: { authorization: `Bearer ${token}` }, url: `/api/v1/projects?watch=true&resourceVersion=${since}` };
    const stream = await world.api.server.app.inject({ ...request, payloadAsStream: true });
    let text = '';
    for await (const chunk of stream.stream()) {
      text += String(chunk);
      if (text.includes('DELETED')) {
        break;
      }
    }
    assert.ok(text.includes('"ADDED"') && text.includes('a:1'));
    assert.ok(!text.includes('hidden') && !text.includes('b:2'));
  });
});

describe('privileges', () => {
  const privileged = [
    { services: [{ name: 'web', image: 'a:1', privileged: true }] },
    { services: [{ name: 'web', image: 'a:1', capAdd: ['SYS_ADMIN'] }] },
    { services: [{ name: 'web', image: 'a:1' }], volumes: [{ name: 'root', type: 'HostPath', path: '/' }] },
  ];

  test('what comes to root on a node needs the right for it, in whatever way it is written', async () => {
    const { token } = await world.createToken({ role: 'editor', user: 'trusted', rights: ['privileged'] });
    for (const [index, spec] of privileged.entries()) {
      const name = `priv-${index}`;
      const manifest = manifestOf('Project', name, { spec });
      const plain = manifestOf('Project', name, { spec: { services: [{ name: 'web', image: 'a:1' }] } });
      const refused = await world.as('editor', 'POST', '/projects', { body: manifest });
      assert.deepEqual([refused.status, refused.body.errors.length], [403, 1], JSON.stringify(refused.body));
      assert.equal((await world.as('editor', 'POST', '/projects', { body: plain })).status, 201);
      for (const [method, body, type] of [
        ['PUT', manifest, 'application/json'],
        ['PATCH', { spec }, MERGE],
        ['PATCH', manifest, APPLY],
      ] as const) {
        assert.equal((await world.as('editor', method, `/projects/${name}`, { body, type })).status, 403, `${method} ${type}`);
      }
      assert.equal((await world.with(token, 'PATCH', `/projects/${name}`, { body: manifest, type: APPLY })).status, 200);
      const otherImage = { spec: { ...spec, services: [{ ...spec.services[0], image: 'evil:1' }] } };
      assert.equal((await world.as('editor', 'PATCH', `/projects/${name}`, { body: otherImage, type: MERGE })).status, 403);
      const label = { metadata: { labels: { a: 'b' } } };
      assert.equal((await world.as('editor', 'PATCH', `/projects/${name}`, { body: label, type: MERGE })).status, 200);
    }
  });

  test('a right is what its name says and no more', async () => {
    const { token } = await world.createToken({ role: 'viewer', user: 'keeper', rights: ['secrets'] });
    const revealed = await world.with(token, 'GET', `/secrets/${own.secret}?reveal=true`);
    assert.deepEqual([revealed.status, Object.keys(revealed.body.data)], [200, ['password']]);
    assert.equal(revealed.headers['warning'], undefined);
    assert.equal((await world.with(token, 'DELETE', `/secrets/${own.secret}`)).status, 403);
  });
});

describe('nodes', () => {
  const report = { body: { phase: 'Running', assignment: 1, message: 'forged' } };

  test('a status is taken from the node that the Project is bound to, and from no other', async () => {
    const forged = await world.as('node', 'PATCH', `/projects/${foreign.project}/status`, report);
    assert.deepEqual([forged.status, forged.body.reason], [403, 'NotAssigned']);
    const unnumbered = await world.as('node', 'PATCH', `/projects/${foreign.project}/status`, { body: { phase: 'Terminated' } });
    assert.equal(unnumbered.status, 403);
    const stale = await world.as('node', 'PATCH', `/projects/${own.project}/status`, { body: { phase: 'Running', assignment: 0 } });
    assert.deepEqual([stale.status, stale.body.reason], [409, 'StaleAssignment']);
    assert.equal((await world.as('node', 'PATCH', `/projects/${own.project}/status`, report)).status, 204);
    const { body } = await world.as('admin', 'GET', `/projects/${foreign.project}`);
    assert.ok(!JSON.stringify(body).includes('forged'));
  });

  test('a node gets the Secrets that its Projects use, and no other', async () => {
    const get = async (node: string, secret: string) => (await world.as('node', 'GET', `/nodes/${node}/secrets/${secret}`)).status;
    assert.deepEqual([await get(own.node, own.secret), await get(own.node, foreign.secret), await get(own.node, 'none')], [200, 403, 403]);
    assert.deepEqual(
      [await get(foreign.node, foreign.secret), await get(`${own.node}%2F..%2F${foreign.node}`, foreign.secret)],
      [403, 403],
    );
  });

  test('a node that lost its credential is out at once', async () => {
    const { token, id } = await world.createNodeCredential(own.node);
    assert.equal((await world.with(token, 'POST', `/nodes/${own.node}/heartbeat`, { body: {} })).status, 204);
    await world.api.store.commit([{ op: 'delete', kind: 'NodeCredential', name: id }]);
    await nextTurn();
    assert.equal((await world.with(token, 'POST', `/nodes/${own.node}/heartbeat`, { body: {} })).status, 401);
  });
});

describe('streams', () => {
  async function openStream(token: string) {
    const request = { headers: { authorization: `Bearer ${token}` }, url: '/api/v1/nodes?watch=true' };
    const { stream } = await world.api.server.app.inject({ ...request, payloadAsStream: true });
    let text = '';
    const done = (async () => {
      for await (const chunk of stream()) {
        text += String(chunk);
      }
      return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as { type: string; object: { reason: string } };
    })();
    return done;
  }

  test('one token opens 512 streams and no more, and another is not touched by that', async () => {
    const { token } = await world.createToken({ role: 'viewer', user: 'watcher' });
    const url = '/api/v1/nodes?watch=true';
    const open = async (bearer: string) =>
      await world.api.server.app.inject({ url, headers: { authorization: `Bearer ${bearer}` }, payloadAsStream: true });
    const streams = await Promise.all(Array.from({ length: 512 }, () => open(token)));
    assert.ok(streams.every(({ statusCode }) => statusCode === 200));
    const refused = await world.with(token, 'GET', '/nodes?watch=true');
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '5']);
    assert.match(refused.body.detail, /512 are open by the same token/u);
    assert.equal((await world.with(token, 'GET', '/nodes')).status, 200, 'what is no stream goes on');
    const other = await open(world.tokens.get('viewer') ?? '');
    assert.equal(other.statusCode, 200);
    [...streams, other].forEach((answer) => answer.stream().destroy());
  });

  test('revocation ends an open watch, and says why', async () => {
    const { token, id } = await world.createToken({ role: 'viewer', user: 'watcher' });
    const last = openStream(token);
    await nextTurn();
    await world.as('admin', 'DELETE', `/tokens/${id}`);
    const { type, object } = await last;
    assert.deepEqual([type, object.reason], ['ERROR', 'Unauthorized']);
  });

  test('so does expiry', async () => {
    const { token } = await world.createToken({ role: 'viewer', user: 'watcher', ttl: '10s' });
    const last = openStream(token);
    await nextTurn();
    await world.api.clock.advance(10_000);
    assert.equal((await last).object.reason, 'Unauthorized');
  });
});

describe('modes', () => {
  test('the first start shows an admin token and what to type, once', async () => {
    let first = '';
    let second = '';
    await using api = await startApi({ config: { AUTH: 'token' }, tell: (text) => void (first += text) });
    await api.stop();
    await using again = await startApi({ config: { AUTH: 'token' }, store: api.store, tell: (text) => void (second += text) });
    assert.match(first, /caractrl login http/u);
    assert.match(first, /SERVER_URL=http\S+ JOIN_TOKEN=cara_t\S+ cara-agent/u);
    assert.equal(second, '');
    const answer = await again.call('GET', '/auth/whoami', { headers: { authorization: `Bearer ${findAdminToken(first)}` } });
    assert.deepEqual([answer.body.kind, answer.body.role, answer.body.user], ['Person', 'admin', 'admin']);
  });

  for (const [config, asks] of [
    [{ HOST: '127.0.0.1' }, false],
    [{ HOST: '::1' }, false],
    [{ HOST: 'localhost' }, false],
    [{ HOST: '0.0.0.0' }, true],
    [{ HOST: '::' }, true],
    [{ HOST: '192.168.1.5' }, true],
    [{ HOST: '0.0.0.0', AUTH: 'none' }, false],
    [{ HOST: '127.0.0.1', AUTH: 'token' }, true],
  ] as const) {
    test(`${JSON.stringify(config)} ${asks ? 'asks for credentials' : 'asks for nothing'}`, async () => {
      await using api = await startApi({ config });
      assert.equal((await api.call('GET', '/nodes')).status, asks ? 401 : 200);
      assert.equal((await api.call('GET', '/api/healthz')).status, 200);
    });
  }

  test('on loopback a Host or an Origin of another site is refused, on every path', async () => {
    await using api = await startApiOn({ clock: systemClock, config: { ALLOWED_HOSTS: ['cara.example'] } });
    const status = async (headers: Record<string, string>, path = '/nodes', method = 'GET') =>
      (await api.call(method, path, { headers })).status;
    for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:8080', '127.1.2.3', '[::1]:8080', 'a.localhost', 'cara.example:8080']) {
      assert.equal(await status({ host }), 200, host);
    }
    for (const host of [
      'evil.example',
      'evil.example:8080',
      '192.168.1.5:8080',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '[::2]',
      'localhost@evil',
      'a b',
    ]) {
      for (const path of ['/nodes', '/api/healthz', '/nothing', '/metrics']) {
        assert.equal(await status({ host }, path), 403, `${host} ${path}`);
      }
      assert.equal(await status({ host }, '/nodes/a/heartbeat', 'POST'), 403, host);
    }
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:9999', 'https://localhost.evil.example', 'file://']) {
      assert.equal(await status({ host: '127.0.0.1:8080', origin }), 403, origin);
    }
    for (const origin of ['http://127.0.0.1:8080', 'https://cara.example']) {
      assert.equal(await status({ host: '127.0.0.1:8080', origin }), 200, origin);
    }
    assert.equal(await status({ host: '127.0.0.1:8080', 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(await status({ host: '127.0.0.1:8080', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }), 200);
    assert.equal(await status({ host: '127.0.0.1:8080', 'sec-fetch-site': 'same-origin' }), 200);
    const words = (await api.call('GET', '/nodes', { headers: { host: 'evil.example' } })).body.detail as string;
    assert.match(words, /Host is none of this machine's.*ALLOWED_HOSTS.*"evil\.example"$/u);
  });
});

describe('audit', () => {
  test('changes, revealed values, joins and refusals are written down; reads and reports are not; and never a secret', async () => {
    await using other = await startAccessWorld();
    const before = (await other.as('admin', 'GET', '/audit')).body.items.length as number;
    await other.as('editor', 'PATCH', '/projects/shop', { body: projectManifest('shop', 'x', projectSpec(own.secret)), type: APPLY });
    await other.as('editor', 'GET', '/projects');
    await other.as('node', 'POST', `/nodes/${own.node}/heartbeat`, { body: {} });
    await other.as('admin', 'GET', `/secrets/${own.secret}?reveal=true`);
    await other.as('node', 'GET', `/nodes/${own.node}/secrets/${own.secret}`);
    await other.as('viewer', 'DELETE', `/projects/${own.project}`);
    await other.as('node', 'POST', `/nodes/${foreign.node}/heartbeat`, { body: {} });
    await other.with('cara_guess', 'GET', '/nodes');
    await other.as('admin', 'POST', '/secrets', { body: secretManifest('pw', 'x') });
    const { token } = await other.createToken({ role: 'viewer', user: 'new' });
    await other.as('editor', 'DELETE', '/projects/none');
    const { body } = await other.as('admin', 'GET', '/audit');
    const told = (body.items.slice(before) as Record<string, unknown>[]).map(({ who, verb, object, outcome, status }) =>
      [who, verb, object, outcome, status].join(' '),
    );
    assert.deepEqual(told, [
      'ed update Project/shop Done 201',
      `admin reveal Secret/${own.secret} Done 200`,
      `node/${own.node} reveal Secret/${own.secret} Done 200`,
      `vi delete Project/${own.project} Refused 403`,
      `node/${own.node} report Node/${foreign.node} Refused 403`,
      'nobody read  Refused 401',
      'admin create Secret/pw Done 201',
      `admin create Token/${token.slice(5, 21)} Done 201`,
      'ed delete Project/none Failed 404',
    ]);
    const first = body.items[before] as Record<string, unknown>;
    assert.deepEqual(
      [first['request'], first['detail'], first['from'], first['role']],
      ['PATCH /api/v1/projects/shop', 'created', '127.0.0.1', 'editor'],
    );
    const text = JSON.stringify(body);
    for (const secret of [
      token.slice(-43),
      `value of ${own.secret}`,
      'value of pw',
      Buffer.from('value of pw').toString('base64'),
      'reveal=true',
    ]) {
      assert.ok(!text.includes(secret), secret);
    }
    const ofShop = await other.as('admin', 'GET', '/audit?object=Project/shop&who=ed&since=1h');
    assert.equal(ofShop.body.items.length, 1);
  });
});
