/**
 * Promise 11: every route x every caller x what is theirs and what is not. The routes come from the server's own description, so that a
 * new one fails here until somebody has written down who may call it. What is allowed is written here by hand, apart from the rules.
 */
import assert from 'node:assert/strict';
import { AGENT_CREDENTIAL_HEADER } from '../../src/api/headers.ts';
import { after, before, describe, test } from 'node:test';
import {
  CALLERS,
  NAMES,
  projectManifest,
  projectSpec,
  secretManifest,
  startAccessWorld,
  type AccessWorld,
  type CallerName,
} from '../support/worlds/access-world.ts';
import { APPLY, manifestOf, startApi, type CallOptions } from '../support/worlds/api.ts';

type Whose = keyof typeof NAMES;
/** Who may, beside admins, and of what; whoever is not there may not. */
type Row = Readonly<Partial<Record<CallerName, 'all' | 'own'>>>;

const NOBODY_ELSE: Row = {};
const EVERYONE: Row = Object.fromEntries(CALLERS.map((caller) => [caller, 'all']));
const KNOWN: Row = { ...EVERYONE, nobody: undefined as never };
const PEOPLE: Row = { editor: 'all', viewer: 'all', 'team editor': 'all', 'team viewer': 'all' };
const READERS: Row = { editor: 'all', viewer: 'all', 'team editor': 'own', 'team viewer': 'own' };
const EDITORS: Row = { editor: 'all', 'team editor': 'own' };

/** "METHOD path" -> who may. A list is open to whoever sees a part of it; what they see is tested below. */
const MATRIX: Readonly<Record<string, Row>> = {
  'GET /api/healthz': EVERYONE,
  'GET /api/readyz': EVERYONE,
  'GET /api/v1/version': EVERYONE,
  'GET /api/v1/ca': EVERYONE,
  'GET /openapi.json': EVERYONE,
  'GET /metrics': { editor: 'all', viewer: 'all' },

  'GET /api/v1/servers': PEOPLE,
  'POST /api/v1/nodes': NOBODY_ELSE,
  'GET /api/v1/nodes': { ...PEOPLE, node: 'all' },
  'GET /api/v1/nodes/{name}': { ...PEOPLE, node: 'own' },
  'PUT /api/v1/nodes/{name}': NOBODY_ELSE,
  'PATCH /api/v1/nodes/{name}': NOBODY_ELSE,
  'DELETE /api/v1/nodes/{name}': NOBODY_ELSE,
  'POST /api/v1/nodes/{name}/register': { node: 'own' },
  'POST /api/v1/nodes/{name}/reset-identity': NOBODY_ELSE,
  'POST /api/v1/nodes/{name}/heartbeat': { node: 'own' },
  'POST /api/v1/nodes/{name}/drain': NOBODY_ELSE,
  'GET /api/v1/nodes/{name}/secrets/{secret}': { node: 'own' },
  'GET /api/v1/nodes/{name}/tunnel': { node: 'own' },
  'GET /api/v1/nodes/{name}/link': PEOPLE,
  'GET /api/v1/nodes/{name}/stats': PEOPLE,

  'GET /api/v1/held-projects': PEOPLE,
  'PUT /api/v1/nodes/{node}/held-projects': { node: 'own' },
  'POST /api/v1/nodes/{node}/held-projects/{project}/adopt': NOBODY_ELSE,

  'GET /api/v1/volumes': { ...PEOPLE, node: 'all' },
  'GET /api/v1/nodes/{node}/volumes/{name}': { ...READERS, node: 'own' },
  'DELETE /api/v1/nodes/{node}/volumes/{name}': EDITORS,
  'PUT /api/v1/nodes/{node}/volumes': { node: 'own' },
  'POST /api/v1/nodes/{node}/volumes/{name}/deletion': { node: 'own' },

  'POST /api/v1/projects': EDITORS,
  'GET /api/v1/projects': { ...PEOPLE, node: 'all' },
  'GET /api/v1/projects/{name}': { ...READERS, node: 'own' },
  'PUT /api/v1/projects/{name}': EDITORS,
  'PATCH /api/v1/projects/{name}': EDITORS,
  'DELETE /api/v1/projects/{name}': EDITORS,
  'PATCH /api/v1/projects/{name}/status': { node: 'own' },
  'POST /api/v1/projects/{name}/move': EDITORS,
  'GET /api/v1/projects/{project}/services/{service}/logs': READERS,
  'GET /api/v1/projects/{name}/history': READERS,
  'POST /api/v1/projects/{name}/undo': EDITORS,
  'POST /api/v1/projects/{name}/restart': EDITORS,
  'GET /api/v1/projects/{project}/services/{service}/portforward': EDITORS,
  'GET /api/v1/projects/{project}/services/{service}/exec': NOBODY_ELSE, // or with the right for it: test/integration/access.test.ts

  'GET /api/v1/events': PEOPLE,
  'GET /api/v1/events/{name}': PEOPLE, // what is not theirs is 404
  'GET /api/v1/throughput': { node: 'all' },
  'POST /api/v1/throughput': { node: 'all' },

  'POST /api/v1/secrets': EDITORS,
  'GET /api/v1/secrets': PEOPLE,
  'GET /api/v1/secrets/{name}': READERS,
  'GET /api/v1/secrets/{name}?reveal=true': NOBODY_ELSE,
  'PUT /api/v1/secrets/{name}': EDITORS,
  'PATCH /api/v1/secrets/{name}': EDITORS,
  'DELETE /api/v1/secrets/{name}': EDITORS,

  'GET /api/v1/auth/whoami': KNOWN,
  'GET /api/v1/auth/can-i': KNOWN,
  'POST /api/v1/nodes/{name}/challenge': EVERYONE,
  'POST /api/v1/nodes/{name}/credential': EVERYONE, // it asks for the proof itself: test/integration/joining.test.ts
  'POST /api/v1/nodes/{name}/approve': NOBODY_ELSE,
  'GET /api/v1/node-keys': NOBODY_ELSE,
  'DELETE /api/v1/node-keys/{name}': NOBODY_ELSE,
  'GET /api/v1/audit': NOBODY_ELSE,
  'POST /api/v1/tokens': NOBODY_ELSE,
  'GET /api/v1/tokens': NOBODY_ELSE,
  'DELETE /api/v1/tokens/{name}': NOBODY_ELSE,
};

/** "METHOD path" -> a request that goes through, where it is no empty one. */
const REQUESTS: Readonly<Record<string, (whose: Whose) => CallOptions>> = {
  'POST /api/v1/nodes': (whose) => ({ body: manifestOf('Node', `${whose}-new`) }),
  'PUT /api/v1/nodes/{name}': (whose) => ({ body: manifestOf('Node', NAMES[whose].node) }),
  'PATCH /api/v1/nodes/{name}': (whose) => ({ body: manifestOf('Node', NAMES[whose].node, { spec: { hostname: 'x' } }), type: APPLY }),
  'POST /api/v1/nodes/{name}/register': () => ({ body: { hostname: 'x' } }),
  'POST /api/v1/nodes/{name}/heartbeat': () => ({ body: { capacity: { cpu: '3' } } }),
  'POST /api/v1/projects': (whose) => ({ body: newProject(whose, 'new') }),
  'PUT /api/v1/projects/{name}': (whose) => ({ body: newProject(whose, 'shop') }),
  'PATCH /api/v1/projects/{name}': (whose) => ({ body: newProject(whose, 'shop'), type: APPLY }),
  'PATCH /api/v1/projects/{name}/status': () => ({ body: { phase: 'Running', assignment: 1 } }),
  'POST /api/v1/throughput': () => ({ body: 'x', type: 'application/octet-stream' }),
  'POST /api/v1/secrets': (whose) => ({ body: secretManifest(`${teamOf(whose)}-new`, whose === 'own' ? 'a' : 'b') }),
  'PUT /api/v1/secrets/{name}': (whose) => ({ body: secretManifest(NAMES[whose].secret, whose === 'own' ? 'a' : 'b') }),
  'PATCH /api/v1/secrets/{name}': (whose) => ({ body: secretManifest(NAMES[whose].secret, whose === 'own' ? 'a' : 'b'), type: APPLY }),
  'POST /api/v1/nodes/{name}/credential': () => ({ body: { challenge: 'A'.repeat(43), signature: 'A'.repeat(86) } }),
  'PUT /api/v1/nodes/{node}/held-projects': () => ({ body: { epoch: 'none', projects: [] } }),
  'PUT /api/v1/nodes/{node}/volumes': () => ({ body: { volumes: [] } }),
  'POST /api/v1/nodes/{node}/volumes/{name}/deletion': () => ({ body: { id: 'none', state: 'Failed' } }),
  'POST /api/v1/tokens': () => ({ body: { role: 'viewer', user: 'x' } }),
};

/** last part of a path -> what has to be asked with */
const QUERIES: Readonly<Record<string, string>> = { 'can-i': 'verb=read&resource=nodes', portforward: 'port=80', exec: 'command=ls' };

function teamOf(whose: Whose): string {
  return whose === 'own' ? 'team-a' : 'team-b';
}

function newProject(whose: Whose, name: string): object {
  const spec = projectSpec(NAMES[whose].secret, { nodeSelector: { whose }, expireAt: '2099-01-01T00:00:00Z' });
  return projectManifest(`${teamOf(whose)}-${name}`, whose === 'own' ? 'a' : 'b', spec);
}

let world: AccessWorld;
const routes: string[] = [];

before(async () => {
  await using api = await startApi();
  const { paths } = (await api.server.app.inject('/openapi.json')).json() as { readonly paths: Readonly<Record<string, object>> };
  for (const [path, methods] of Object.entries(paths)) {
    routes.push(...Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  }
  routes.push('GET /api/v1/secrets/{name}?reveal=true');
  world = await startAccessWorld();
});
after(() => world[Symbol.asyncDispose]());

async function fillPath(path: string, whose: Whose): Promise<string> {
  const { node, project, secret, volume } = NAMES[whose];
  const ofEvents = async (): Promise<string> => {
    const { body } = await world.as('admin', 'GET', `/events?object=Project/${project}`);
    return body.items[0].metadata.name as string;
  };
  const ofTokens = async (): Promise<string> => (await world.as('admin', 'GET', '/tokens')).body.items.at(-1).metadata.name as string;
  const kind = /\/(nodes|node-keys|projects|secrets|events|tokens|volumes)\/\{name\}/u.exec(path)?.[1];
  const name = {
    nodes: node,
    'node-keys': node,
    projects: project,
    secrets: secret,
    volumes: volume,
    events: undefined,
    tokens: undefined,
  }[kind ?? ''];
  const found = name ?? (kind === 'events' ? await ofEvents() : kind === 'tokens' ? await ofTokens() : '');
  const filled = path
    .replace('{name}', found)
    .replace('{secret}', secret)
    .replace('{node}', node)
    .replace('{project}', project)
    .replace('{service}', 'web');
  assert.doesNotMatch(filled, /[{}]/u, `say in fillPath() what stands for the parameters of ${path}`);
  const query = QUERIES[path.split('/').at(-1) ?? ''];
  return query === undefined ? filled : `${filled}?${query}`;
}

/** Whether it is as the row says; what is refused must have changed nothing. */
async function check(route: string, caller: CallerName, whose: Whose, method = route.split(' ')[0] ?? ''): Promise<string | undefined> {
  const [, path = ''] = route.split(' ');
  const isTunnel = path.endsWith('/tunnel');
  const headers: Record<string, string> = isTunnel ? { [AGENT_CREDENTIAL_HEADER]: await world.register(NAMES[whose].node) } : {};
  const options = REQUESTS[route]?.(whose) ?? (method === 'POST' ? { body: {} } : {});
  const url = await fillPath(path, whose);
  const versionBefore = await world.api.store.version();
  const { status, body } = await world.as(caller, method, url, { ...options, headers });
  const isChanged = (await world.api.store.version()) !== versionBefore;
  const row = MATRIX[route] ?? {};
  const isAllowed = caller === 'admin' || row[caller] === 'all' || (row[caller] === 'own' && whose === 'own');
  const refusal = caller === 'nobody' ? 401 : 403;
  const isAnswer = status < 500 || body?.reason === 'NodeUnreachable' || (method === 'HEAD' && /\/services\/|\/stats$/u.test(path)); // no agent is there
  const isProof = path.endsWith('/credential') && status === 401 && JSON.stringify(body).includes('has not joined');
  const isRight = isAllowed
    ? (isAnswer && status !== 401 && status !== 403 && status !== 400) || isProof
    : status === refusal && !isChanged;
  if (isChanged || isTunnel) {
    await world[Symbol.asyncDispose]();
    world = await startAccessWorld();
  }
  const wanted = isAllowed ? 'a success' : `${refusal} and no change`;
  return isRight
    ? undefined
    : `${method} by ${caller}, ${whose}: wanted ${wanted}, got ${status}${isChanged ? ' and a change' : ''} ${JSON.stringify(body)}`;
}

describe('every route', () => {
  test('has a row in this matrix, and every row a route', () => {
    assert.deepEqual(routes.toSorted(), Object.keys(MATRIX).toSorted());
  });

  for (const route of Object.keys(MATRIX)) {
    test(`${route} is open to those in its row, and to nobody else`, async () => {
      const wrong: (string | undefined)[] = [];
      for (const caller of CALLERS) {
        for (const whose of ['own', 'foreign'] as const) {
          wrong.push(await check(route, caller, whose));
          if (route.startsWith('GET ')) {
            wrong.push(await check(route, caller, whose, 'HEAD'));
          }
        }
      }
      assert.deepEqual(
        wrong.filter((line) => line !== undefined),
        [],
      );
    });
  }
});
