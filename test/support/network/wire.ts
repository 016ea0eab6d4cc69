/**
 * Wire: HTTP/1.1 as cheap as it comes, for agents by the thousand in one process: a request is one write, an answer without a body is
 * looked at for its status and its end. node:http's own client would be slower than the server that it is to load.
 *
 * Owns     one connection, kept alive, with one request under way at a time.
 */
import { connect, type Socket } from 'node:net';

export class Wire {
  readonly #socket: Socket;
  #pending: ((status: number) => void) | undefined;
  #head = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#end(0));
  }

  /** @param from the local address: each has ports of its own */
  static async open(port: number, from = '127.0.0.1'): Promise<Wire> {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', () => resolve());
    socket.once('error', reject);
    await promise;
    return new Wire(socket);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** @param done told the status, 0 where the connection ended instead */
  send(request: string, done: (status: number) => void): void {
    this.#pending = done;
    this.#head = '';
    this.#socket.write(request, 'latin1');
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const text = this.#head + bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#head = text;
      return;
    }
    const status = Number(text.slice(9, 12));
    if (status !== 204) {
      this.#socket.destroy(); // a body follows that nobody reads
    }
    this.#end(status);
  }

  #end(status: number): void {
    const done = this.#pending;
    this.#pending = undefined;
    done?.(status);
  }
}

/** A heartbeat as cara-agent sends it. */
export function beatRequest({
  host,
  name,
  body,
  token,
}: {
  readonly host: string;
  readonly name: string;
  readonly body: string;
  readonly token?: string | undefined;
}): string {
  const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
  return (
    `POST /api/v1/nodes/${name}/heartbeat HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\naccept: application/json, application/problem+json\r\n` +
    `user-agent: cara-agent/0.1.0\r\ncontent-type: application/json\r\n${authorization}content-length: ${body.length}\r\n\r\n${body}`
  );
}
