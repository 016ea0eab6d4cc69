/**
 * Dispatcher: finds the route of a request, lets in who may ask, and makes an answer of whatever comes of it.
 *
 * Never    throws: refusals and bugs become problem documents.
 * Callers  the two fronts: agent-server.ts (TCP) and tunnel-front.ts.
 */
import { ApiError, toProblem, type Reason } from '../../api/errors.ts';
import type { AgentAccess } from './access.ts';
import { jsonReply, type AgentReply, type AgentRequest, type Route, type ServeStream } from './route.ts';

export type RawRequest = Omit<AgentRequest, 'params' | 'url'> & { readonly target: string };

export interface Refusal extends AgentReply {
  readonly body: string;
}

export interface Dispatcher {
  answer(request: RawRequest): Promise<AgentReply>;
  /** For a request that wants a stream both ways. */
  open(request: RawRequest): Promise<{ readonly serve: ServeStream } | { readonly refusal: Refusal }>;
  /** Takes in what cut a stream short; only what is no end of a connection is a bug, and told. @param target path and query */
  reportFailure(error: unknown, target: string): void;
}

export interface DispatcherOptions {
  readonly routes: readonly Route[];
  readonly access: Pick<AgentAccess, 'check'>;
  /** a handler threw what is no ApiError: a bug */
  readonly onBug: (error: unknown, path: string) => void;
}

const METHODS = ['GET', 'HEAD'];

export function createDispatcher({ routes, access, onBug }: DispatcherOptions): Dispatcher {
  function find(raw: RawRequest): { readonly route: Route; readonly request: AgentRequest } {
    const url = URL.parse(raw.target, 'http://agent') ?? new URL('http://agent/');
    for (const route of routes) {
      const match = route.path.exec(url.pathname);
      if (match !== null) {
        if (route.isPublic !== true) {
          access.check(raw.header('authorization'));
        }
        const { method, signal, header } = raw;
        return { route, request: { method, signal, header, url, params: decodeGroups(match.groups ?? {}) } };
      }
    }
    throw new ApiError('NotFound', `Cannot find ${url.pathname}: this is cara-agent; its health is at /healthz`);
  }

  function refuse(error: unknown, target: string): Refusal {
    const path = target.split('?', 1)[0] ?? '';
    if (!(error instanceof ApiError)) {
      onBug(error, path);
    }
    const failure = error instanceof ApiError ? error : new ApiError('Internal', `Cannot answer ${path}: see the agent's log`);
    const reply = jsonReply(failure.status, toProblem(failure), 'application/problem+json');
    return { ...reply, headers: { ...reply.headers, ...EXTRA_HEADERS[failure.reason] } };
  }

  return {
    answer: async (raw) => {
      try {
        const { route, request } = find(raw);
        if (route.kind === 'stream') {
          throw new ApiError('UpgradeRequired', `Cannot ${raw.method} ${request.url.pathname} as it is a stream: ask for a WebSocket`);
        }
        if (!METHODS.includes(raw.method)) {
          throw new ApiError('MethodNotAllowed', `Cannot ${raw.method} ${request.url.pathname}: allowed is GET`);
        }
        return await route.handle(request);
      } catch (error) {
        return refuse(error, raw.target);
      }
    },
    open: async (raw) => {
      try {
        const { route, request } = find(raw);
        if (route.kind === 'reply') {
          throw new ApiError('Invalid', `Cannot open a stream at ${request.url.pathname} as it only answers: ask without an upgrade`);
        }
        return { serve: await route.open(request) };
      } catch (error) {
        return { refusal: refuse(error, raw.target) };
      }
    },
    reportFailure: (error, target) => {
      if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) {
        onBug(error, target.split('?', 1)[0] ?? '');
      }
    },
  };
}

const EXTRA_HEADERS: Partial<Record<Reason, Readonly<Record<string, string>>>> = {
  MethodNotAllowed: { allow: 'GET' },
  Unauthorized: { 'www-authenticate': 'Bearer' },
  UpgradeRequired: { upgrade: 'websocket', connection: 'upgrade' },
};

function decodeGroups(groups: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decode(value)]));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new ApiError('Invalid', `Cannot read the path as its percent-encoding is broken: current value is ${JSON.stringify(text)}`, {
      cause,
    });
  }
}
