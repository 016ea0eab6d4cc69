/**
 * Forwarder: one local port, each of whose connections becomes one to a port of a service.
 *
 * Owns     the listener and what is open on it. Each connection finds its own way, so that new ones work as soon as there is one again.
 * Never    reads from a connection faster than the other end takes, or ends for what a connection fails of: it says so, once until one works.
 * Callers  commands/port-forward.ts
 */
import net, { type AddressInfo, type Socket } from 'node:net';
import { ApiError } from '../../api/errors.ts';
import { cut, join } from '../../base/join.ts';
import type { WebSocketStream } from '../../base/web-socket.ts';
import { ClosedByPeer } from '../../base/web-socket/end.ts';
import { CtlError } from '../ctl-error.ts';
import type { PortPair } from './port-pairs.ts';

export interface ForwarderOptions {
  /** to listen on */
  readonly address: string;
  readonly pair: PortPair;
  /** for messages, such as shop/web */
  readonly name: string;
  /** opens the other end @throws {ApiError} */
  readonly connect: (port: number, signal: AbortSignal) => Promise<WebSocketStream>;
  /** tells a person a sentence */
  readonly tell: (text: string) => void;
}

export interface Forwarder {
  /** such as 127.0.0.1:8080 */
  readonly address: string;
  close(): void;
}

/** Listens. @throws {CtlError} when it cannot */
export async function startForwarder(options: ForwarderOptions, signal: AbortSignal): Promise<Forwarder> {
  const sockets = new Set<Socket>();
  const news = new News(options);
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    void forward(socket, { ...options, news }, signal);
  });
  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    address: `${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () => {
      server.close();
      sockets.forEach((socket) => cut(socket));
    },
  };
}

async function listen(server: net.Server, { address, pair }: ForwarderOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: address, port: pair.local }, resolve);
  try {
    await promise;
  } catch (error) {
    throw explainListen(error as NodeJS.ErrnoException, address, pair);
  }
  server.off('error', reject);
  server.on('error', () => undefined); // of accepting one connection, as when there are no more file descriptors; the next may work
}

function explainListen(error: NodeJS.ErrnoException, address: string, { local, remote }: PortPair): CtlError {
  const what = `Cannot listen on ${address}:${local}`;
  const { code = '' } = error;
  if (code === 'EADDRINUSE') {
    const other = local < 65_535 ? local + 1 : local - 1;
    return new CtlError(`${what} as the port is in use`, {
      cause: error,
      hint: `take another, as in ${other}:${remote}, or any that is free with :${remote}`,
    });
  }
  if (code === 'EACCES') {
    const hint = `take a higher one, such as ${8000 + (remote % 1000)}:${remote}`;
    return new CtlError(`${what} as ports below 1024 are for root`, { cause: error, hint });
  }
  if (['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL'].includes(code)) {
    const hint = 'name one of its own with --address, or leave it out for 127.0.0.1';
    return new CtlError(`${what} as this machine has no such address`, { cause: error, hint });
  }
  return new CtlError(`${what} as ${error.message}`, { cause: error });
}

/** One connection, to its end. Never rejects. */
async function forward(
  socket: Socket,
  { pair, connect, news }: ForwarderOptions & { readonly news: News },
  signal: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const either = AbortSignal.any([gone.signal, signal]);
  let remote: WebSocketStream;
  try {
    remote = await connect(pair.remote, either);
  } catch (error) {
    cut(socket);
    if (!either.aborted) {
      news.refused(error);
    }
    return;
  }
  news.worked();
  let failure: unknown;
  remote.on('error', (error) => (failure ??= error));
  try {
    await join({ left: socket, right: remote }, either);
  } catch {
    if (failure !== undefined && !either.aborted) {
      news.cutOff(failure);
    }
  }
}

/** What is worth telling: the first of a row of failures, and that it is over. */
class News {
  readonly #tell: (text: string) => void;
  readonly #where: string;
  #told: string | undefined;
  #cutCount = 0;

  constructor({ name, pair, tell }: ForwarderOptions) {
    this.#tell = tell;
    this.#where = `${name}:${pair.remote}`;
  }

  worked(): void {
    if (this.#told !== undefined) {
      this.#told = undefined;
      this.#tell(`${this.#where} answers again`);
    }
  }

  refused(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (text !== this.#told) {
      this.#told = text;
      this.#tell(`warning: ${text}${error instanceof ApiError && error.isRetryable ? '; new connections are tried again' : ''}`);
    }
  }

  /** Several at once are one piece of news. */
  cutOff(error: unknown): void {
    this.#cutCount += 1;
    if (this.#cutCount > 1) {
      return;
    }
    setImmediate(() => {
      const words = error instanceof ClosedByPeer && error.message !== '' ? error.message : 'the connection to the server was lost';
      const what = this.#cutCount === 1 ? 'a connection' : `${this.#cutCount} connections`;
      this.#cutCount = 0;
      this.#tell(`warning: ${what} to ${this.#where} ended before the time: ${words}`);
    });
  }
}
