/**
 * A connection of a load generator: HTTP/1.1 with keep-alive, one request at a time, and no more than that. A load generator on node:http
 * costs more than the server that it is to load.
 *
 * Never    reads an answer that has neither a Content-Length nor status 204.
 */
import { connect, type Socket } from 'node:net';

const BUFFER = 65_536; // bytes
const HEAD_END = '\r\n\r\n';

export class RawConnection {
  readonly #socket: Socket;
  #onAnswer: ((status: number) => void) | undefined;
  #received = '';

  /** @param onEnd called when the connection is gone */
  constructor(port: number, onEnd: (error: Error) => void) {
    const callback = (count: number, buffer: Uint8Array): boolean => {
      this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, count).toString('latin1'));
      return true;
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: Buffer.alloc(BUFFER), callback } });
    this.#socket.on('error', onEnd).on('close', () => onEnd(new Error('the server closed a connection')));
  }

  /** @param onAnswer called once; then `bytes` may be used again, and the next request sent */
  send(bytes: Buffer, onAnswer: (status: number) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }

  #take(piece: string): void {
    this.#received = this.#received === '' ? piece : this.#received + piece;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) {
      return;
    }
    const status = Number(this.#received.slice(9, 12));
    const length = status === 204 ? 0 : Number(/\r\ncontent-length: (\d+)/iu.exec(this.#received.slice(0, headEnd))?.[1]);
    if (this.#received.length >= headEnd + HEAD_END.length + length) {
      this.#received = '';
      this.#onAnswer?.(status);
    }
  }
}
