/**
 * A server that asks for credentials, with two of everything: what is `own` to the callers that are limited, and what is foreign to them.
 *
 * Owns     the server, until disposed of.
 */
import assert from 'node:assert/strict';
import { until } from '../../../scripts/lib/wait.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { newStored, NODE_CREDENTIAL_KIND, type NodeCredential } from '../../../src/server/auth/stored-credentials.ts';
import { newMeta } from '../../../src/server/objects/record.ts';
import { newCredential, NODE_LETTER } from '../../../src/server/auth/token-format.ts';
import { AGENT_CREDENTIAL_HEADER } from '../../../src/api/headers.ts';
import type { TokenRequest } from '../../../src/api/token.ts';
import { APPLY, manifestOf, startApi, type Answer, type ApiServer, type ApiServerOptions, type CallOptions } from './api.ts';
import type { VirtualClock } from '../time/virtual-clock.ts';

export const CALLERS = ['nobody', 'admin', 'editor', 'viewer', 'team editor', 'team viewer', 'node', 'joining'] as const;
export type CallerName = (typeof CALLERS)[number];

/** Names by what they are to the callers "team ..." (prefix team-a-, label team=a) and "node" (w-own). */
export const NAMES = {
  own: { node: 'w-own', project: 'team-a-shop', secret: 'team-a-db', volume: 'cara_team-a-shop_data' },
  foreign: { node: 'w-foreign', project: 'team-b-shop', secret: 'team-b-db', volume: 'cara_team-b-shop_data' },
} as const;

const LIMIT = { namePrefix: 'team-a-', labelSelector: 'team=a' } as const;
const REQUESTS = {
  editor: { role: 'editor', user: 'ed' },
  viewer: { role: 'viewer', user: 'vi' },
  'team editor': { role: 'editor', user: 'ted', limit: LIMIT },
  'team viewer': { role: 'viewer', user: 'tim', limit: LIMIT },
  joining: { role: 'node', node: 'w-new' },
} as const satisfies Partial<Record<CallerName, TokenRequest>>;

export interface AccessWorld extends AsyncDisposable {
  readonly api: ApiServer<VirtualClock>;
  /** caller -> its token; nobody has none */
  readonly tokens: ReadonlyMap<CallerName, string>;
  as(caller: CallerName, method: string, path: string, options?: CallOptions): Promise<Answer>;
  with(token: string, method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Registers as the node's agent. @returns what it shows beside its bearer token when it opens its tunnel */
  register(node: string): Promise<string>;
  /** As an admin, of whom more is asked than of a test's own calls. */
  createToken(request: TokenRequest): Promise<{ readonly token: string; readonly id: string }>;
  createNodeCredential(node: string, ttlMs?: number): Promise<{ readonly token: string; readonly id: string }>;
}

/** The first admin's token, from what the server shows at its first start. */
export function findAdminToken(words: string): string {
  return /cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}/u.exec(words)?.[0] ?? assert.fail(`no token in ${words}`);
}

export async function startAccessWorld(options: Partial<ApiServerOptions<VirtualClock>> = {}): Promise<AccessWorld> {
  let shown = '';
  const api = await startApi({ ...options, config: { AUTH: 'token', ...options.config }, tell: (text) => void (shown += text) });
  const tokens = new Map<CallerName, string>([['admin', findAdminToken(shown)]]);
  const withToken: AccessWorld['with'] = (token, method, path, call = {}) =>
    api.call(method, path, { ...call, headers: { authorization: `Bearer ${token}`, ...call.headers } });
  const as: AccessWorld['as'] = (caller, method, path, call = {}) => {
    const token = tokens.get(caller);
    return token === undefined ? api.call(method, path, call) : withToken(token, method, path, call);
  };
  const createToken: AccessWorld['createToken'] = async (request) => {
    const { status, body } = await as('admin', 'POST', '/tokens', { body: request });
    assert.equal(status, 201, JSON.stringify(body));
    return { token: body.token as string, id: body.object.metadata.name as string };
  };
  const createNodeCredential: AccessWorld['createNodeCredential'] = async (node, ttlMs = 3_600_000) => {
    const { text, id, hash } = newCredential(NODE_LETTER);
    const now = new Date(api.clock.wallMs()).toISOString();
    const fields = { node, hash, expiresAt: new Date(api.clock.wallMs() + ttlMs).toISOString() };
    const object = newStored<NodeCredential>(NODE_CREDENTIAL_KIND, newMeta(id, systemRandom.uuid(), now), fields);
    await api.store.commit([{ op: 'create', object }]);
    return { token: text, id };
  };
  for (const [caller, request] of Object.entries(REQUESTS)) {
    tokens.set(caller as CallerName, (await createToken(request)).token);
  }
  tokens.set('node', (await createNodeCredential(NAMES.own.node)).token);
  const register = async (node: string): Promise<string> =>
    String((await as('admin', 'POST', `/nodes/${node}/register`, { body: {} })).headers[AGENT_CREDENTIAL_HEADER]);
  await fill(as, api);
  return {
    api,
    register,
    tokens,
    as,
    with: withToken,
    createToken,
    createNodeCredential,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** Two nodes, each with a Project bound to it that uses a Secret. */
async function fill(as: AccessWorld['as'], api: ApiServer<VirtualClock>): Promise<void> {
  for (const [whose, { node, project, secret, volume }] of Object.entries(NAMES)) {
    const team = whose === 'own' ? 'a' : 'b';
    await expect(as('admin', 'POST', '/nodes', { body: manifestOf('Node', node, { metadata: { labels: { whose } } }) }), 201);
    await expect(as('admin', 'POST', `/nodes/${node}/heartbeat`, { body: {} }), 204);
    await expect(as('admin', 'POST', '/secrets', { body: secretManifest(secret, team) }), 201);
    const spec = projectSpec(secret, { nodeSelector: { whose } });
    await expect(as('admin', 'PATCH', `/projects/${project}`, { body: projectManifest(project, team, spec), type: APPLY }), 201);
    const reported = { name: volume, project, projectUid: 'uid-of-project', volume: 'data', type: 'Managed' };
    await expect(as('admin', 'PUT', `/nodes/${node}/volumes`, { body: { volumes: [reported] } }), 204);
  }
  const isBound = async (): Promise<boolean> => {
    await api.clock.advance(100);
    const { body } = await as('admin', 'GET', '/projects');
    return (body.items as { readonly status: { readonly nodeRef?: string } }[]).every(({ status }) => status.nodeRef !== undefined);
  };
  await until(isBound, { what: 'both projects to be bound', timeoutMs: 60_000, intervalMs: 0 });
  await api.clock.advance(2000); // so that what happened is written down as Events
}

async function expect(answer: Promise<Answer>, status: number): Promise<void> {
  const { status: actual, body } = await answer;
  assert.equal(actual, status, JSON.stringify(body));
}

export function secretManifest(name: string, team: string): object {
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Secret',
    metadata: { name, labels: { team } },
    stringData: { password: `value of ${name}` },
  };
}

export function projectSpec(secret: string, rest: object = {}): object {
  const env = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: secret, key: 'password' } } }];
  return { services: [{ name: 'web', image: 'shop/web:3', env }], ...rest };
}

export function projectManifest(name: string, team: string, spec: object): object {
  return manifestOf('Project', name, { metadata: { labels: { team } }, spec });
}
