/**
 * Direct link: the way to a node's agent by its address, where the server can dial it.
 *
 * Owns     the idle connections to the agent, and the streams that are open: while there are any, the agent is asked for a sign of life
 *          every five seconds, and when it gives none for ten the streams are cut. TCP alone would notice after a quarter of an hour.
 * Never    shows the credential to what has not proved that it knows it: behind another NAT the address is another machine's.
 * Callers  node-links.ts
 */
import http, { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { NONCE_HEADER, STREAM_PROTOCOL } from '../../api/headers.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { cut } from '../../base/join.ts';
import { proofOf } from '../../base/link-proof.ts';
import { LinkBroken, readRefusal, type NodeAnswer, type NodeRequest, type Remote } from './remote.ts';

const CONNECT_MS = 3000;
const WATCH_MS = 5000;
const MAX_MISSED = 2;
const MAX_HEALTH_BYTES = 16 * 1024;

export interface AgentAddress {
  readonly host: string;
  readonly port: number;
}

export interface DirectLinkOptions {
  readonly address: AgentAddress;
  readonly clock: Clock;
  /** runs a loop until it ends or the server stops */
  readonly spawn: (name: string, loop: (signal: AbortSignal) => Promise<void>) => void;
}

export class DirectLink implements Remote {
  readonly #options: DirectLinkOptions;
  readonly #pool = new http.Agent({ keepAlive: true, maxFreeSockets: 2 });
  readonly #open = new Set<Duplex | IncomingMessage>();
  #isWatching = false;

  constructor(options: DirectLinkOptions) {
    this.#options = options;
  }

  get address(): AgentAddress {
    return this.#options.address;
  }

  /** Asks what answers there to prove that it is the agent. @returns the round trip in milliseconds @throws {LinkBroken} */
  async prove(credential: string, signal: AbortSignal): Promise<number> {
    const nonce = Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(24))).toString('base64url');
    const startedAtMs = this.#options.clock.monotonicMs();
    const { proof } = await this.#readHealth({ [NONCE_HEADER]: nonce }, signal);
    if (proof !== proofOf(credential, nonce)) {
      throw new LinkBroken('what answers there is not the agent of this node, or one that has registered elsewhere since');
    }
    return this.#options.clock.monotonicMs() - startedAtMs;
  }

  async ping(signal: AbortSignal): Promise<number> {
    const startedAtMs = this.#options.clock.monotonicMs();
    await this.#readHealth({}, signal);
    return this.#options.clock.monotonicMs() - startedAtMs;
  }

  async request({ method, path, headers }: NodeRequest, credential: string, signal: AbortSignal): Promise<NodeAnswer> {
    const all = { ...headers, authorization: `Bearer ${credential}` };
    const sent = this.#send({ method, path, headers: all, agent: this.#pool }, signal);
    sent.end();
    const answer = await answered(sent, signal);
    const status = answer.statusCode ?? 0;
    if (status >= 400) {
      throw await readRefusal(status, answer);
    }
    this.#watch(answer);
    const known = Object.entries(answer.headers).map(([name, value]) => [name, [value ?? []].flat().join(', ')] as const);
    return { status, headers: Object.fromEntries(known), body: answer };
  }

  async open(path: string, credential: string, signal: AbortSignal): Promise<Duplex> {
    const headers = { authorization: `Bearer ${credential}`, connection: 'Upgrade', upgrade: STREAM_PROTOCOL };
    const sent = this.#send({ method: 'GET', path, headers, agent: false }, signal);
    const { promise, resolve } = Promise.withResolvers<Socket>();
    sent.on('upgrade', (_answer, socket, head) => {
      if (head.length > 0) {
        socket.unshift(head);
      }
      resolve(socket);
    });
    sent.once('socket', (socket) => (socket.allowHalfOpen = true));
    sent.end();
    const opened = await Promise.race([promise, answered(sent, signal)]);
    if (opened instanceof IncomingMessage) {
      throw await readRefusal(opened.statusCode ?? 0, opened);
    }
    opened.setNoDelay(true);
    opened.on('error', () => opened.destroy());
    const onAbort = (): void => cut(opened); // the request's own signal is done with it; a mere end would be that of one direction
    signal.addEventListener('abort', onAbort, { once: true });
    opened.once('close', () => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) {
      onAbort();
    }
    this.#watch(opened);
    return opened;
  }

  /** Cuts what is open. */
  close(): void {
    for (const stream of this.#open) {
      stream.destroy(new LinkBroken('the node fell silent'));
    }
    this.#pool.destroy();
  }

  #send(request: Outgoing, signal: AbortSignal) {
    const { host, port } = this.#options.address;
    const sent = http.request({ host, port, ...request, signal });
    sent.setTimeout(CONNECT_MS, () => (sent.socket?.connecting === true ? sent.destroy(new Error('the connection timed out')) : undefined));
    return sent;
  }

  async #readHealth(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<{ readonly proof?: unknown }> {
    using deadline = withDeadline(this.#options.clock, CONNECT_MS, signal);
    const sent = this.#send({ method: 'GET', path: '/healthz', headers, agent: this.#pool }, deadline.signal);
    sent.end();
    try {
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of (await answered(sent, signal)) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > MAX_HEALTH_BYTES) {
          throw new Error('it says too much for an agent');
        }
        chunks.push(chunk);
      }
      return JSON.parse(Buffer.concat(chunks).toString()) as { readonly proof?: unknown };
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof LinkBroken ? error : broken(error);
    }
  }

  /** Sees to it that the stream is cut when the node falls silent. */
  #watch(stream: Duplex | IncomingMessage): void {
    this.#open.add(stream);
    stream.once('close', () => this.#open.delete(stream));
    if (!this.#isWatching) {
      this.#isWatching = true;
      this.#options.spawn('direct-link', async (signal) => {
        await this.#watchOpen(signal).finally(() => (this.#isWatching = false));
      });
    }
  }

  async #watchOpen(signal: AbortSignal): Promise<void> {
    for (let missed = 0; this.#open.size > 0;) {
      await this.#options.clock.sleep(WATCH_MS, signal);
      try {
        await this.ping(signal);
        missed = 0;
      } catch (error) {
        if (!(error instanceof LinkBroken)) {
          throw error;
        }
        missed += 1;
        if (missed >= MAX_MISSED) {
          this.close();
        }
      }
    }
  }
}

interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: http.Agent | false;
}

/** @throws {LinkBroken} when there is no answer */
async function answered(sent: http.ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.on('response', resolve);
  sent.on('error', reject);
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw broken(error);
  }
}

function broken(cause: unknown): LinkBroken {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nothing listens there',
    EHOSTUNREACH: 'there is no route to it',
    ENETUNREACH: 'there is no route to its network',
  };
  const why =
    words[code ?? ''] ?? (code === 'ABORT_ERR' ? 'nothing answers there' : cause instanceof Error ? cause.message : String(cause));
  return new LinkBroken(why, { cause });
}
