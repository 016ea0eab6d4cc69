/**
 * One HTTP/2 stream of a tunnel, as a stream like any other.
 *
 * Never    used bare: once both directions have ended Http2Stream calls itself `closed`, which `finished`, `pipeline` and `for await` take
 *          for an end before its time, and what was not read yet is lost (Node 26.10).
 * Callers  tunnel.ts
 */
import type { ClientHttp2Stream } from 'node:http2';
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { ConnectionLost } from '../../base/web-socket/end.ts';

export class TunnelStream extends Duplex {
  readonly #stream: ClientHttp2Stream;
  #hasEnded = false;

  /** @param stream nobody has read from yet; its errors are this one's */
  constructor(stream: ClientHttp2Stream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) {
        stream.pause();
      }
    });
    stream.once('end', () => {
      this.#hasEnded = true;
      this.push(null);
    });
    stream.on('error', () => this.destroy(new ConnectionLost()));
    stream.once('close', () => {
      if (!this.#hasEnded || !this.writableFinished) {
        this.destroy(this.#hasEnded && this.writableEnded ? undefined : new ConnectionLost());
      }
    });
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#stream.closed) {
      this.#stream.close(this.#hasEnded && this.writableFinished ? http2.constants.NGHTTP2_NO_ERROR : http2.constants.NGHTTP2_CANCEL);
    }
    done(error);
  }
}
