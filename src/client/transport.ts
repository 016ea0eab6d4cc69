/**
 * Transport: HTTP to the server, with every failure as an ApiError that a person can act on.
 *
 * Never    retries at the same server: callers know whether trying again is safe. With several, one that cannot have taken the request in,
 *          and a read in any case, is followed by another at once.
 * Callers  the clients beside it, collection.ts and throughput-link.ts.
 */
import { ApiError, fromProblem, hasReason } from '../api/errors.ts';
import { withDeadline, type Clock } from '../base/clock.ts';
import { parseJson } from '../base/parse-json.ts';
import type { Random } from '../base/random.ts';
import type { WebSocketStream } from '../base/web-socket.ts';
import { isNeverSent, toFailure } from './network-failure.ts';
import type { Trust } from './trust.ts';
import { ServerChoice } from './server-choice.ts';

export interface Transport {
  /** the one that is in use */
  readonly serverUrl: string;
  /** One request, its answer's body read to the end. @throws {ApiError} Unavailable when the server cannot be reached or does not answer in time */
  request(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer>;
  /** One request whose answer is read as it comes. @throws as `request`, before the first byte */
  stream(request: ApiRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Opens a stream both ways: a WebSocket, each direction ending by itself. Destroy it, or end it and read it to its end. @throws as `request` */
  open(request: StreamRequest, signal: AbortSignal): Promise<WebSocketStream>;
}

export interface StreamRequest {
  /** path and query, starting with "/" */
  readonly path: string;
  /** what cannot be done without it, such as "open the tunnel" */
  readonly action: string;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** path and query, starting with "/" */
  readonly path: string;
  readonly body?: unknown;
  /** sent as they are, instead of `body`; no more of them is asked for than the connection takes */
  readonly chunks?: AsyncIterable<Uint8Array>;
  /** default application/json */
  readonly contentType?: string;
  /** what of the answer is understood beside problems; default application/json */
  readonly accept?: string;
  /** the chunks of the streamed answer are looked at once: each may be emptied when the next is asked for */
  readonly isDisposable?: true;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Pick<Headers, 'get'>;
  /** parsed JSON; undefined when there was none */
  readonly body: unknown;
}

export interface TransportOptions {
  /** one URL, or several apart by commas: where one cannot be reached, or is not able to answer, the next is tried */
  readonly serverUrl: string;
  /** how long one request may take, in milliseconds; streams: until the first byte. Default 30 s */
  readonly timeoutMs?: number;
  /** sent as User-Agent, such as "cara-agent/0.1.0" */
  readonly userAgent: string;
  readonly token?: string;
  readonly clock: Clock;
  /** ms; for how long a request is tried again where the server says that it was one too many, and when to come again. Default 0 */
  readonly patienceMs?: number;
  /** which of several servers is next; default: the system's */
  readonly random?: Random;
  /** the network; replaced by the simulation, and by http-fetch.ts where a program must start fast */
  readonly fetch?: FetchFunction;
  /** for streams, which `fetch` does not open: whether what answers is the server; default: what Node believes */
  readonly trust?: Trust;
}

/** What of `fetch` we use. */
export type FetchFunction = (url: string, request: FetchRequest) => Promise<FetchAnswer>;

export interface FetchRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | AsyncIterable<Uint8Array>;
  /** with a body in chunks, for the global fetch, which asks for it */
  readonly duplex?: 'half';
  /** see ApiRequest; ignored where it cannot be had */
  readonly isDisposable?: true;
  readonly redirect: 'error';
  readonly signal: AbortSignal;
}

export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Pick<Headers, 'get'>;
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

/** What tells whether a request may be sent again. */
type Repeatability = Pick<ApiRequest, 'method' | 'chunks'>;

const DEFAULT_TIMEOUT_MS = 30_000; // longer than any answer of a healthy server, shorter than a person's patience

export function createTransport(options: TransportOptions): Transport {
  const fetchFn = options.fetch ?? globalThis.fetch;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const servers = new ServerChoice(options.serverUrl, options.random);

  async function send(serverUrl: string, request: ApiRequest, signal: AbortSignal): Promise<FetchAnswer> {
    const response = await fetchFn(`${serverUrl}${request.path}`, {
      method: request.method,
      headers: {
        accept: `${request.accept ?? 'application/json'}, application/problem+json`,
        'user-agent': options.userAgent,
        ...((request.body ?? request.chunks) !== undefined && { 'content-type': request.contentType ?? 'application/json' }),
        ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      },
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
      ...(request.chunks !== undefined && { body: request.chunks, duplex: 'half' }),
      ...(request.isDisposable !== undefined && { isDisposable: request.isDisposable }),
      redirect: 'error',
      signal,
    });
    if (!response.ok) {
      const retryAfterMs = readRetryAfterMs(response.headers);
      const problem = parseJson(await response.text()) ?? unexplained(serverUrl, response.status);
      throw fromProblem(response.status, problem, retryAfterMs === undefined ? {} : { retryAfterMs });
    }
    return response;
  }

  async function requestAt(serverUrl: string, request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    using deadline = withDeadline(options.clock, timeoutMs, signal);
    try {
      const response = await send(serverUrl, request, deadline.signal);
      const text = await response.text();
      const body = parseJson(text);
      if (body === undefined && text !== '') {
        throw new ApiError('Unavailable', `Cannot use the answer of ${serverUrl} as it is no JSON: another program may listen there`);
      }
      return { status: response.status, headers: response.headers, body };
    } catch (error) {
      throw toFailure(error, { serverUrl, timeoutMs, signal });
    }
  }

  async function streamAt(serverUrl: string, request: ApiRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    // The deadline is for the first byte alone: once the stream is open, only the caller ends it.
    const ended = new AbortController();
    using deadline = withDeadline(options.clock, timeoutMs, signal);
    const onDeadline = (): void => ended.abort(deadline.signal.reason);
    deadline.signal.addEventListener('abort', onDeadline);
    try {
      const response = await send(serverUrl, request, AbortSignal.any([signal, ended.signal]));
      return response.body ?? noBytes();
    } catch (error) {
      throw toFailure(error, { serverUrl, timeoutMs, signal });
    } finally {
      deadline.signal.removeEventListener('abort', onDeadline);
    }
  }

  async function openAt(serverUrl: string, { path, action }: StreamRequest, signal: AbortSignal): Promise<WebSocketStream> {
    const { openWebSocket } = await import('./web-socket-link.ts'); // few commands need it
    const { keepAlive } = await import('../base/keep-alive.ts');
    const { clock, userAgent, token, trust } = options;
    const headers = { 'user-agent': userAgent, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const hearing = { heardAtMs: clock.monotonicMs() };
    const onHeard = (): void => void (hearing.heardAtMs = clock.monotonicMs());
    const stream = await openWebSocket({ serverUrl, path, headers, timeoutMs, action, onHeard, trust, clock }, signal);
    void keepAlive(stream, hearing, clock, signal); // ends with the stream, and never rejects
    return stream;
  }

  /** Moves on from a server that cannot answer; to the next at once where this one cannot have taken the request in. */
  async function atSome<Result>(request: Repeatability, once: (serverUrl: string) => Promise<Result>): Promise<Result> {
    for (let left = servers.count - 1; ; left -= 1) {
      const serverUrl = servers.current;
      try {
        return await once(serverUrl);
      } catch (error) {
        if (hasReason(error, 'Unavailable')) {
          servers.moveOn(serverUrl);
        }
        const isHarmless = request.method === 'GET' || isNeverSent(error);
        if (left === 0 || !hasReason(error, 'Unavailable') || !isHarmless || request.chunks !== undefined) {
          throw error;
        }
      }
    }
  }

  /** Waits where the server has said for how long: it has done nothing of what was asked. */
  async function patiently<Result>(
    request: Repeatability,
    once: (serverUrl: string) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const endMs = options.clock.monotonicMs() + (options.patienceMs ?? 0);
    for (;;) {
      try {
        return await atSome(request, once);
      } catch (error) {
        const waitMs = hasReason(error, 'TooManyRequests') && request.chunks === undefined ? error.retryAfterMs : undefined;
        if (waitMs === undefined || options.clock.monotonicMs() + waitMs > endMs) {
          throw error;
        }
        await options.clock.sleep(waitMs, signal);
      }
    }
  }

  return {
    get serverUrl() {
      return servers.current;
    },
    request: (request, signal) => patiently(request, (serverUrl) => requestAt(serverUrl, request, signal), signal),
    stream: (request, signal) => patiently(request, (serverUrl) => streamAt(serverUrl, request, signal), signal),
    open: (request, signal) => patiently({ method: 'POST' }, (serverUrl) => openAt(serverUrl, request, signal), signal), // what begins may begin once alone
  };
}

/** `Retry-After` in seconds; its other form, a date, would need the two clocks to agree. Source: RFC 9110 section 10.2.3 */
function readRetryAfterMs(headers: FetchAnswer['headers']): number | undefined {
  const text = headers.get('retry-after')?.trim();
  return text !== undefined && /^[0-9]{1,9}$/u.test(text) ? Number(text) * 1000 : undefined;
}

/** Stands for the problem that an answer did not hold: our server explains each, a proxy or another program does not. */
function unexplained(serverUrl: string, status: number): { readonly detail: string } {
  return {
    detail: `${serverUrl} answered HTTP ${status} without saying why: a proxy, or another program than cara-server, may listen there`,
  };
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}
