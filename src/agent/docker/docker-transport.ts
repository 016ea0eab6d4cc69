/**
 * HTTP to a container engine: one request, one answer or one stream, each ended by its time limit or its signal.
 *
 * Owns     the pool of idle connections and the negotiated API version; both are forgotten when the engine goes away,
 *          as another version of it may come back.
 * Never    knows what a container is, or repeats what may have had an effect.
 * Callers  docker-client.ts, docker-containers.ts, docker-networks.ts, docker-images.ts, docker-exec.ts.
 */
import type { Agent, IncomingMessage } from 'node:http';
import { addAbortSignal, type Duplex } from 'node:stream';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { http } from '../../base/node-http.ts';
import { chooseApiVersion } from './api-version.ts';
import type { EngineAddress } from './docker-host.ts';
import { decodeVersion } from './docker-wire.ts';
import { EngineError } from './engine-error.ts';
import { toConnectionFailure, toEngineFailure, type FailureMeaning } from './engine-failure.ts';

const DEFAULT_TIMEOUT_MS = 30_000; // a healthy engine answers in milliseconds; one that swaps or waits for a disk, in seconds
const MAX_SOCKETS = 32; // a long stop holds one; beyond it, calls queue within their time limit
const MAX_IDLE_SOCKETS = 4;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface EngineCall extends FailureMeaning {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Without the version; parts that come from outside are escaped. */
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON; bytes as they are, with the content type that `headers` gives. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the whole call, or of a stream's opening; default 30 s. Infinity: none. */
  readonly timeoutMs?: number;
  /** Statuses of 4xx and 5xx that are answers here and no failures. */
  readonly accept?: readonly number[];
  readonly isUnversioned?: boolean;
  /** On a connection of its own. */
  readonly isAlone?: boolean;
}

export interface Answer {
  readonly status: number;
  /** Parsed where it is JSON, else text. */
  readonly body: unknown;
}

export interface DockerTransport {
  /** @throws {EngineError} as the call's meaning says */
  request(call: EngineCall, signal: AbortSignal): Promise<Answer>;
  /** Resolves when the engine has answered 2xx. The chunks must be iterated, or the signal aborted. */
  stream(call: EngineCall, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Resolves when the engine has switched to a stream of bytes both ways, each direction ending by itself; the signal cuts it. */
  open(call: EngineCall, signal: AbortSignal): Promise<Duplex>;
  close(): void;
}

export interface TransportOptions {
  readonly address: EngineAddress;
  readonly clock: Clock;
  /** Speaks this version and asks nothing. */
  readonly apiVersion?: string;
}

export function createDockerTransport({ address, clock, apiVersion: fixedVersion }: TransportOptions): DockerTransport {
  const pool = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS });
  let version = fixedVersion;

  async function request(call: EngineCall, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const prefix = call.isUnversioned === true ? '' : `/v${version ?? (await negotiate(signal))}`;
    const timeoutMs = call.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    using deadline = withDeadline(clock, timeoutMs, signal);
    try {
      const response = await send({ address, call, prefix, agent: call.isAlone === true ? false : pool }, deadline.signal);
      return await toAnswer(response, call);
    } catch (error) {
      throw failureOf(error, call, { timeoutMs, timer: deadline.signal, outer: signal });
    }
  }

  async function stream(call: EngineCall, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    signal.throwIfAborted();
    const prefix = `/v${version ?? (await negotiate(signal))}`;
    const timeoutMs = call.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timer = new AbortController();
    const opened = new AbortController();
    clock.sleep(timeoutMs, opened.signal).then(
      () => timer.abort(),
      () => undefined, // it opened in time
    );
    try {
      const response = await send({ address, call, prefix, agent: false }, AbortSignal.any([signal, timer.signal]));
      if ((response.statusCode ?? 0) >= 400) {
        await toAnswer(response, call); // throws
      }
      return chunksOf(response, (error) => failureOf(error, call, { timeoutMs, timer: timer.signal, outer: signal }));
    } catch (error) {
      throw failureOf(error, call, { timeoutMs, timer: timer.signal, outer: signal });
    } finally {
      opened.abort();
    }
  }

  async function open(call: EngineCall, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted();
    const prefix = `/v${version ?? (await negotiate(signal))}`;
    const timeoutMs = call.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    using deadline = withDeadline(clock, timeoutMs, signal);
    try {
      const { promise, resolve } = Promise.withResolvers<Duplex>();
      const headers = { ...call.headers, connection: 'Upgrade', upgrade: 'tcp' };
      const sent = send({ address, call: { ...call, headers }, prefix, agent: false, onUpgrade: resolve }, deadline.signal);
      const opened = await Promise.race([promise, sent]);
      if ('headers' in opened) {
        await toAnswer(opened, call); // throws for what it refuses
        throw new EngineError('EngineFault', `Cannot ${call.action} as the engine opened no stream for it`);
      }
      addAbortSignal(signal, opened);
      return opened;
    } catch (error) {
      throw failureOf(error, call, { timeoutMs, timer: deadline.signal, outer: signal });
    }
  }

  async function negotiate(signal: AbortSignal): Promise<string> {
    const action = 'ask the container engine for its version';
    const { body } = await request({ method: 'GET', path: '/version', isUnversioned: true, action }, signal);
    const { apiVersion, minApiVersion, version: engineVersion } = decodeVersion(body);
    version = chooseApiVersion({ apiVersion, minApiVersion, engineVersion });
    return version;
  }

  interface Limits {
    readonly timeoutMs: number;
    readonly timer: AbortSignal;
    readonly outer: AbortSignal;
  }

  /** The outer signal's reason goes before the time limit, and that before what the connection says about being cut. */
  function failureOf(error: unknown, call: EngineCall, { timeoutMs, timer, outer }: Limits): unknown {
    if (outer.aborted) {
      return outer.reason;
    }
    if (error instanceof EngineError) {
      return error;
    }
    if (timer.aborted) {
      const message = `Cannot ${call.action} as the container engine at ${address.text} did not answer within ${timeoutMs} ms`;
      return new EngineError('Timeout', message, { cause: error });
    }
    version = fixedVersion;
    return toConnectionFailure(error, address, call.action);
  }

  return { request, stream, open, close: () => pool.destroy() };
}

interface Outgoing {
  readonly address: EngineAddress;
  readonly call: EngineCall;
  readonly prefix: string;
  /** false opens a connection of its own */
  readonly agent: Agent | false;
  /** Takes the connection where the engine switches protocols; then there is no answer. */
  readonly onUpgrade?: (stream: Duplex) => void;
}

/** Sends a request and waits for the head of the answer. The signal ends the request, and its answer, at any time. */
async function send(outgoing: Outgoing, signal: AbortSignal): Promise<IncomingMessage> {
  const { address, call, prefix, agent, onUpgrade } = outgoing;
  const isBytes = call.body instanceof Uint8Array;
  const body = isBytes ? (call.body as Uint8Array) : call.body === undefined ? undefined : JSON.stringify(call.body);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = http.request({
    ...(address.kind === 'unix' ? { socketPath: address.socketPath } : { host: address.host, port: address.port }),
    agent,
    method: call.method,
    path: `${prefix}${call.path}${toQueryString(call.query)}`,
    headers: { ...call.headers, ...(body !== undefined && !isBytes && { 'content-type': 'application/json' }) },
    signal,
  });
  request.on('response', resolve);
  request.on('error', reject);
  if (onUpgrade !== undefined) {
    request.once('socket', (socket) => (socket.allowHalfOpen = true));
    request.on('upgrade', (_answer, socket, head) => {
      if (head.length > 0) {
        socket.unshift(head);
      }
      onUpgrade(socket);
    });
  }
  request.end(body);
  try {
    return await promise;
  } catch (error) {
    // The engine closed an idle connection just as we took it from the pool. Mostly it has not seen the request, but that
    // cannot be told from one it carried out before it died: only a read may be repeated.
    if (call.method === 'GET' && request.reusedSocket && isReset(error) && !signal.aborted) {
      return await send({ ...outgoing, agent: false }, signal);
    }
    throw error;
  }
}

function isReset(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function toQueryString(query: Query = {}): string {
  const entries = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`;
}

async function toAnswer(response: IncomingMessage, call: EngineCall): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const status = response.statusCode ?? 0;
  const isJson = response.headers['content-type']?.startsWith('application/json') === true;
  if (status >= 400 && call.accept?.includes(status) !== true) {
    throw toEngineFailure(status, messageOf(text), call);
  }
  return { status, body: isJson && text.trim() !== '' && status < 400 ? parse(text, call.action) : text };
}

function parse(text: string, action: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EngineError('EngineFault', `Cannot ${action} as the engine's answer is no JSON: ${text.slice(0, 200)}`, { cause });
  }
}

/** The engine's words in an answer of 4xx or 5xx: `{"message": "..."}`, or plain text from a proxy before it. */
function messageOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    const isMessage = typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string';
    return isMessage ? String(body.message) : text;
  } catch {
    return text;
  }
}

/**
 * What has come together is given together: Docker sends each line of a log as a chunk of its own, and Node gives each of those by itself,
 * which costs several times what is made of it. Leaving the iteration early closes the connection.
 */
async function* chunksOf(response: IncomingMessage, toFailure: (error: unknown) => unknown): AsyncGenerator<Uint8Array> {
  try {
    for await (const first of response as AsyncIterable<Uint8Array>) {
      const parts = [first];
      for (let next = takeNext(response); next !== null; next = takeNext(response)) {
        parts.push(next);
      }
      yield parts.length === 1 ? first : Buffer.concat(parts);
    }
  } catch (error) {
    throw toFailure(error);
  }
}

function takeNext(response: IncomingMessage): Uint8Array | null {
  return response.read() as Uint8Array | null;
}
