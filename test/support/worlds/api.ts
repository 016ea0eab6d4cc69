/**
 * A server in this process, called through inject() or over a real socket: everything of it but the program around it.
 *
 * Owns     the server, until disposed of; the store is closed with it where the test gave none.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { API_VERSION } from '../../../src/api/meta.ts';
import type { Heartbeat, NodeObject } from '../../../src/api/node.ts';
import type { WatchEvent, WatchFailure } from '../../../src/api/watch-event.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { loadConfig } from '../../../src/base/config.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { serverSettings, type ServerConfig } from '../../../src/server/config.ts';
import { startServer, type RunningServer } from '../../../src/server/main.ts';
import { createMemoryStore } from '../../../src/store/memory-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { VirtualClock } from '../time/virtual-clock.ts';

export const APPLY = 'application/apply-patch+json';
export const MERGE = 'application/merge-patch+json';

export interface ApiServerOptions<C extends Clock> {
  readonly clock: C;
  /** default: one in memory */
  readonly store?: Store;
  readonly config?: Partial<ServerConfig>;
  /** true: on a free port of 127.0.0.1; default: inject() alone */
  readonly listen?: boolean;
  /** gets what the server would show a person at its first start */
  readonly tell?: (text: string) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** parsed JSON; undefined when the body was empty */
  // oxlint-disable-next-line typescript/no-explicit-any -- what an answer holds is what the test asserts
  readonly body: any;
}

export interface CallOptions {
  /** sent as JSON, unless it is a string */
  readonly body?: unknown;
  /** default application/json where there is a body */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiServer<C extends Clock = Clock> extends AsyncDisposable {
  readonly clock: C;
  readonly store: Store;
  readonly server: RunningServer;
  /** Path from /api/v1 on. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  apply(kind: 'Node' | 'Project', name: string, rest?: object): Promise<Answer>;
  beat(name: string, heartbeat?: Heartbeat): Promise<number>;
  node(name: string): Promise<NodeObject>;
  stop(): Promise<void>;
}

/** Starts a server with virtual time. */
export async function startApi(options: Partial<ApiServerOptions<VirtualClock>> = {}): Promise<ApiServer<VirtualClock>> {
  return startApiOn({ clock: new VirtualClock(), ...options });
}

/** Starts a server with the clock that the test chooses. */
export async function startApiOn<C extends Clock>(options: ApiServerOptions<C>): Promise<ApiServer<C>> {
  const { clock, listen = false, tell } = options;
  const store = options.store ?? createMemoryStore({ clock });
  const defaults = loadConfig(serverSettings({ env: {}, isRoot: true }), { argv: [], env: { PORT: '0' } });
  const config = { ...defaults, ...options.config };
  const server = await startServer({
    config,
    clock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
    store,
    listen,
    ...(tell && { tell }),
  });
  const call: ApiServer['call'] = async (method, path, { body, type, headers } = {}) => {
    const answer = await server.app.inject({
      method: method as 'GET',
      url: path.startsWith('/api/') || path === '/metrics' ? path : `/api/v1${path}`,
      headers: { ...(body !== undefined && { 'content-type': type ?? 'application/json' }), ...headers },
      ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const isJson = String(answer.headers['content-type']).includes('json') && answer.body !== '';
    return { status: answer.statusCode, headers: answer.headers as IncomingHttpHeaders, body: isJson ? answer.json() : answer.body };
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server.stop());
  return {
    clock,
    store,
    server,
    call,
    apply: (kind, name, rest = {}) => call('PATCH', `/${kind.toLowerCase()}s/${name}`, { body: manifestOf(kind, name, rest), type: APPLY }),
    beat: async (name, heartbeat = {}) => (await call('POST', `/nodes/${name}/heartbeat`, { body: heartbeat })).status,
    node: async (name) => (await call('GET', `/nodes/${name}`)).body as NodeObject,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (options.store === undefined) {
        await store.close();
      }
    },
  };
}

/** A manifest; `metadata` of `rest` adds to the name. */
export function manifestOf(kind: 'Node' | 'Project', name: string, rest: object = {}): object {
  const { metadata = {}, ...fields } = rest as { readonly metadata?: object };
  const spec = kind === 'Project' ? { spec: { services: [{ name: 'web', image: 'shop/web:3' }] } } : {};
  return { apiVersion: API_VERSION, kind, ...spec, ...fields, metadata: { name, ...metadata } };
}

export type WatchLine = WatchEvent<NodeObject> | WatchFailure;

export interface Watch extends AsyncDisposable {
  /** The next line; undefined: the server has ended the stream. */
  next(): Promise<WatchLine | undefined>;
  /** The next line that is no bookmark. */
  nextChange(): Promise<WatchLine | undefined>;
}

/** Opens a watch on a listening server. @param query such as "labelSelector=a" */
export async function openWatch(server: Pick<RunningServer, 'url'>, plural: string, query = ''): Promise<Watch> {
  const ended = new AbortController();
  const response = await fetch(`${server.url}/api/v1/${plural}?watch=true&${query}`, { signal: ended.signal });
  if (!response.ok || response.body === null) {
    throw new Error(`Cannot watch: ${response.status} ${await response.text()}`);
  }
  const lines = createInterface({ input: Readable.fromWeb(response.body) })[Symbol.asyncIterator]();
  const next = async (): Promise<WatchLine | undefined> => {
    const line = await lines.next();
    return line.done === true ? undefined : (JSON.parse(line.value) as WatchLine);
  };
  const nextChange = async (): Promise<WatchLine | undefined> => {
    const line = await next();
    return line?.type === 'BOOKMARK' ? nextChange() : line;
  };
  return { next, nextChange, [Symbol.asyncDispose]: async () => ended.abort() };
}
