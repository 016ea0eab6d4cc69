/**
 * Tunnel: one agent's own connection, as a way to that agent.
 *
 * Owns     the connection, and the HTTP/2 session on it, which is made when somebody first asks for something: of 5,000 agents most are
 *          never asked, and a session costs ten times the connection.
 * Never    opens a stream before the agent's SETTINGS have come: Node answers those with ENHANCE_YOUR_CALM.
 * Callers  tunnel-registry.ts
 */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import http2 from 'node:http2';
import { addAbortSignal, type Duplex } from 'node:stream';
import { ApiError } from '../../api/errors.ts';
import { STREAM_PROTOCOL } from '../../api/headers.ts';
import { abortable } from '../../base/abortable.ts';
import { CONNECTION_WINDOW_BYTES, MAX_SESSION_MB, MAX_STREAMS, TUNNEL_SETTINGS } from '../../base/tunnel-settings.ts';
import type { WebSocketStream } from '../../base/web-socket.ts';
import { LinkBroken, readRefusal, type NodeAnswer, type NodeRequest, type Remote } from './remote.ts';
import { TunnelStream } from './tunnel-stream.ts';

export class Tunnel implements Remote {
  readonly #connection: WebSocketStream;
  #session: Promise<ClientHttp2Session> | undefined;
  #streamCount = 0; // of those that are open

  constructor(connection: WebSocketStream) {
    this.#connection = connection;
    // until there is a session nobody reads: what an agent of ours sends before is nothing, and its end must be seen
    connection.on('error', () => undefined);
  }

  get isOpen(): boolean {
    return !this.#connection.destroyed;
  }

  close(): void {
    this.#connection.destroy();
  }

  async request({ method, path, headers }: NodeRequest, credential: string, signal: AbortSignal): Promise<NodeAnswer> {
    const pseudo = { ':method': method, ':path': path };
    const { stream, answer } = await this.#ask({ ...pseudo, ...headers, authorization: `Bearer ${credential}` }, signal);
    return { status: statusOf(answer), headers: toHeaders(answer), body: stream };
  }

  async open(path: string, credential: string, signal: AbortSignal): Promise<Duplex> {
    const pseudo = { ':method': 'CONNECT', ':protocol': STREAM_PROTOCOL, ':path': path };
    const { stream } = await this.#ask({ ...pseudo, authorization: `Bearer ${credential}` }, signal);
    return stream;
  }

  async ping(signal: AbortSignal): Promise<number> {
    const session = await this.#connect(signal);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    session.ping((error, durationMs) => (error === null ? resolve(durationMs) : reject(broken(error))));
    return await abortable(promise, signal);
  }

  /** Sends a request head. @returns the stream when the agent has answered below 400 */
  async #ask(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Asked> {
    const session = await this.#connect(signal);
    if (this.#streamCount >= MAX_STREAMS) {
      throw new ApiError('TooManyRequests', `Cannot open another stream to the node as ${MAX_STREAMS} are open: close some`);
    }
    const raw = begin(session, headers);
    const answered = head(raw, signal);
    const stream = new TunnelStream(raw);
    stream.on('error', () => undefined); // cut: whoever reads or writes learns
    if (headers[':method'] !== 'CONNECT') {
      stream.end(); // the request has no body
    }
    this.#streamCount += 1;
    raw.once('close', () => (this.#streamCount -= 1));
    addAbortSignal(signal, stream);
    const answer = await answered;
    const status = statusOf(answer);
    if (status >= 400) {
      stream.end();
      throw await readRefusal(status, stream);
    }
    return { stream, answer };
  }

  async #connect(signal: AbortSignal): Promise<ClientHttp2Session> {
    signal.throwIfAborted();
    this.#session ??= this.#start();
    return await abortable(this.#session, signal);
  }

  async #start(): Promise<ClientHttp2Session> {
    const connection = this.#connection;
    if (connection.destroyed) {
      throw new LinkBroken('the tunnel was closed');
    }
    const session = http2.connect('http://agent', {
      createConnection: () => connection,
      settings: TUNNEL_SETTINGS,
      maxSessionMemory: MAX_SESSION_MB,
    });
    session.on('close', () => connection.destroy());
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    session.on('error', (error) => reject(broken(error)));
    session.once('close', () => reject(new LinkBroken('the tunnel was closed')));
    session.once('remoteSettings', () => resolve(session));
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    return await promise;
  }
}

interface Asked {
  readonly stream: TunnelStream;
  readonly answer: IncomingHttpHeaders;
}

function begin(session: ClientHttp2Session, headers: Readonly<Record<string, string>>): ClientHttp2Stream {
  try {
    return session.request(headers, { endStream: false });
  } catch (error) {
    throw broken(error); // closing, or closed meanwhile
  }
}

/** @throws {LinkBroken} when the stream ends before there is an answer */
async function head(stream: ClientHttp2Stream, signal: AbortSignal): Promise<IncomingHttpHeaders> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders>();
  stream.once('response', resolve);
  stream.on('error', (error) => reject(broken(error)));
  stream.once('close', () => reject(new LinkBroken('the tunnel was closed')));
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function broken(cause: unknown): LinkBroken {
  return new LinkBroken('the tunnel was cut', { cause });
}

function statusOf(headers: IncomingHttpHeaders): number {
  return Number(headers[':status']);
}

function toHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  return Object.fromEntries(entries.map(([name, value]) => [name, [value ?? []].flat().join(', ')]));
}
