/**
 * Guard: who is asking, and whether the route is open to them; before a body is read.
 *
 * Never    lets a route pass that has no rule: that is a fault of ours, and answers 500.
 * Callers  app.ts, for each request; handlers find the caller in their input.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../../api/errors.ts';
import { EVERYONE, NOBODY, type Caller } from '../auth/caller.ts';
import type { Credentials, Recognition } from '../auth/credentials.ts';
import { isLocal, LOCAL_ADMIN } from '../auth/local-socket.ts';
import type { LoginLimit } from '../auth/login-limit.ts';
import { createSiteCheck, asksForCredentials, type AuthSettings } from '../auth/mode.ts';
import type { RequestLimit } from '../auth/request-limit.ts';
import { judge, type Access } from '../auth/rules.ts';
import { addressOf } from './remote-address.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

export interface GuardDeps {
  readonly settings: AuthSettings;
  readonly credentials: Credentials;
  readonly loginLimit: LoginLimit;
  readonly requestLimit: RequestLimit;
}

export interface Guard {
  /** Sets the request's caller, or says why it is not let in. */
  readonly check: (request: FastifyRequest, reply: FastifyReply, proceed: (error?: Error) => void) => void;
  /** Whether `check` would let it in without waiting for anything; says nothing of why not. @param name that of the path */
  readonly letsInAtOnce: (request: Pick<IncomingMessage, 'headers'>, access: Access, name: string) => boolean;
}

export function createGuard({ settings, credentials, loginLimit, requestLimit }: GuardDeps): Guard {
  const asks = asksForCredentials(settings);
  const checkSite = createSiteCheck(settings);
  let goodHost: string | undefined;

  function recognise(request: FastifyRequest): Caller | Promise<Caller> {
    if (isLocal(request.raw.socket)) {
      return LOCAL_ADMIN;
    }
    const text = readBearer(request);
    if (text === undefined) {
      return NOBODY;
    }
    const recognition = credentials.recognise(text);
    return recognition.kind === 'known' ? recognition.caller : lookUp(request, text, recognition);
  }

  /** @throws {ApiError} Unauthorized, TooManyRequests */
  async function lookUp(request: FastifyRequest, text: string, first: Recognition): Promise<Caller> {
    const id = first.kind === 'known' ? undefined : first.id;
    const retryAfterMs = loginLimit.note(addressOf(request), id);
    if (retryAfterMs !== undefined) {
      const tried = `Cannot ${describe(request)} as there were too many failed logins: try again in ${retryAfterMs / 1000} s`;
      throw new ApiError('TooManyRequests', tried, { retryAfterMs });
    }
    const recognition = first.kind === 'unknown' && id !== undefined ? await credentials.lookUp(text) : first;
    if (recognition.kind === 'known') {
      return recognition.caller;
    }
    throw new ApiError('Unauthorized', `Cannot ${describe(request)} as ${explain(recognition)}`);
  }

  function enter(request: FastifyRequest, access: Access, caller: Caller): void {
    request.caller = caller;
    const retryAfterMs = 'shown' in caller ? requestLimit.note(caller.shown.id) : undefined;
    if (retryAfterMs !== undefined) {
      const tried = `Cannot ${describe(request)} as there were too many requests by the same token, which may ask 200 times a second: try again in ${retryAfterMs / 1000} s`;
      throw new ApiError('TooManyRequests', tried, { retryAfterMs });
    }
    const { node, name } = (request.params ?? {}) as { readonly node?: string; readonly name?: string };
    const refusal = judge(caller, access, node ?? name);
    if (refusal !== undefined) {
      throw new ApiError(refusal.reason, `Cannot ${describe(request)} as ${refusal.why}`);
    }
  }

  async function enterLater(request: FastifyRequest, access: Access, caller: Promise<Caller>): Promise<Error | undefined> {
    try {
      enter(request, access, await caller);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  function isGoodHost(host: string): boolean {
    try {
      checkSite({ host }, 'POST');
      return true;
    } catch {
      return false; // `check` says why
    }
  }

  function letsInAtOnce({ headers }: Pick<IncomingMessage, 'headers'>, access: Access, name: string): boolean {
    const { host = '' } = headers;
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined || (host !== goodHost && !isGoodHost(host))) {
      return false; // `check` looks more closely
    }
    goodHost = host; // agents all call it by the same few names
    if (!asks) {
      return judge(EVERYONE, access, name) === undefined;
    }
    const text = readBearer({ headers });
    const recognition = text === undefined ? undefined : credentials.recognise(text);
    return recognition?.kind === 'known' && judge(recognition.caller, access, name) === undefined;
  }

  const check: Guard['check'] = (request, _reply, proceed) => {
    try {
      checkSite(request.headers, request.method);
      if (request.is404) {
        return proceed();
      }
      const { access } = request.routeOptions.config;
      if (access === undefined) {
        throw new Error(`Cannot answer as ${request.routeOptions.url ?? 'the route'} has no rule`);
      }
      const caller = asks ? (access === 'anyone' ? NOBODY : recognise(request)) : EVERYONE;
      if (caller instanceof Promise) {
        void enterLater(request, access, caller).then(proceed); // its failures are its value
      } else {
        enter(request, access, caller);
        proceed();
      }
    } catch (error) {
      proceed(error as Error);
    }
  };
  return { check, letsInAtOnce };
}

/** Source: RFC 6750 section 2.1 */
function readBearer({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const { authorization } = headers;
  return authorization === undefined ? undefined : (/^Bearer +(\S+) *$/iu.exec(authorization)?.[1] ?? '');
}

function describe({ method, url }: FastifyRequest): string {
  return `${method} ${(url.split('?', 1)[0] ?? '').slice(0, 200)}`;
}

function explain(recognition: Exclude<Recognition, { kind: 'known' }>): string {
  if (recognition.kind === 'expired') {
    return `the token ${recognition.id} expired at ${recognition.expiredAt}`;
  }
  return recognition.id === undefined
    ? 'the Authorization header has no token of ours: it must be Bearer cara_ID_SECRET'
    : `there is no such token ${recognition.id} here: it was revoked, or is another server's, or is not whole`;
}
