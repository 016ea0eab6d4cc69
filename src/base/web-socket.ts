/**
 * A WebSocket as a byte stream, for either end.
 *
 * Owns     the connection after its handshake. The boundaries of messages do not count; an empty message ends one direction, as FIN does
 *          for TCP, which WebSocket itself does not know. Pings are answered, and counted as `heard` like everything that comes.
 * Never    waits by itself: whoever uses it decides when silence is an end (`heard`, `ping`).
 * Callers  client/web-socket-link.ts, server/tunnel and server/http/routes/reach.ts, agent/http/upgrade.ts make one after the handshake.
 * Source   RFC 6455. Not the package `ws`: with what that loads an agent has 12 MB more resident memory (Node 26.10).
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { freeBuffer, markSole } from './free-buffer.ts';
import {
  ClosedByPeer,
  closeCodeOf,
  ConnectionLost,
  GOING_AWAY,
  GoingAway,
  MAX_REASON_BYTES,
  NO_CODE,
  NORMAL_END,
} from './web-socket/end.ts';
import { encodeHeader, FrameReader, OPCODE, type FrameError, type FramePart, type Opcode } from './web-socket/frames.ts';
import { applyMask, randomMask } from './web-socket/mask.ts';
import { closeUp, toMessages } from './web-socket/packing.ts';

const WORTH_FREEING_BYTES = 4096;
const CLOSE_MS = 3000; // for what is left to say; a peer that does not read holds no connection for longer

export interface WebSocketOptions {
  readonly socket: Socket;
  /** what came with the handshake */
  readonly head: Buffer;
  readonly role: 'client' | 'server';
  /** called whenever bytes arrive */
  readonly onHeard?: () => void;
  /**
   * Both directions end together and with nothing but `close`: for carrying HTTP/2. Where its connection says `end` or `error`, Node writes
   * once more into what it is shutting down, and fails an assertion that ends the process (Node 26.10, js_stream_socket.js).
   */
  readonly endsWhole?: boolean;
}

export class WebSocketStream extends Duplex {
  readonly #socket: Socket;
  readonly #role: 'client' | 'server';
  readonly #reader: FrameReader;
  readonly #onHeard: () => void;
  readonly #endsWhole: boolean;
  #ownsWrites = false;
  #hasEnded = false;
  #hasFinished = false;
  #hasSentClose = false;

  constructor({ socket, head, role, onHeard = () => undefined, endsWhole = false }: WebSocketOptions) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#role = role;
    this.#reader = new FrameReader(role);
    this.#onHeard = onHeard;
    this.#endsWhole = endsWhole;
    this.#ownsWrites = endsWhole; // Node hands copies to streams that carry HTTP/2 (js_stream.cc, DoWrite)
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#lose());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#lose());
    if (head.length > 0) {
      socket.unshift(head);
    }
  }

  /** Nothing is read for now, as whoever reads this stream takes nothing: no sign of life can come. */
  get isHeldUp(): boolean {
    return this.#socket.isPaused();
  }

  /** What is written from now on is this stream's: it may change the bytes, and need not copy them. */
  ownWrites(): void {
    this.#ownsWrites = true;
  }

  /** Asks the other end for a sign of life. */
  ping(): void {
    this.#send(OPCODE.ping, EMPTY);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#sendData([chunk], done);
  }

  override _writev(writes: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#sendData(
      writes.map(({ chunk }) => chunk),
      done,
    );
  }

  /** As few frames as it takes: HTTP/2 writes the header of each of its own apart. */
  #sendData(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    const messages = toMessages(chunks);
    messages.forEach((message, index) => {
      this.#sendMessage(message, index === messages.length - 1 ? (error) => this.#settle(error, chunks, done) : undefined);
    });
    if (messages.length === 0) {
      done();
    }
  }

  #sendMessage(pieces: readonly Uint8Array[], done?: (error?: Error | null) => void): void {
    if (!this.#socket.writable || this.#hasSentClose) {
      done?.(this.#hasSentClose ? null : new ConnectionLost());
      return;
    }
    const mask = this.#role === 'client' ? randomMask() : undefined;
    const length = sumLengths(pieces);
    this.#socket.cork();
    this.#socket.write(encodeHeader(OPCODE.binary, length, mask));
    let phase = 0;
    pieces.forEach((piece, index) => {
      const body = mask === undefined || this.#ownsWrites ? piece : Buffer.from(piece); // the caller's bytes are not ours to mask
      if (mask !== undefined) {
        applyMask(body, mask, phase);
      }
      phase += piece.length;
      this.#socket.write(body, index === pieces.length - 1 ? done : undefined);
    });
    this.#socket.uncork();
  }

  #settle(error: Error | null | undefined, chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    if (this.#endsWhole) {
      chunks.filter(({ length }) => length >= WORTH_FREEING_BYTES).forEach((chunk) => freeBuffer(chunk));
    }
    if (this.#endsWhole && error) {
      this.destroy();
      done();
    } else {
      done(error);
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(OPCODE.binary, EMPTY, (error) => {
      this.#hasFinished = true;
      done(error);
      this.#closeWhenDone();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isDone = this.#hasEnded && this.#hasFinished;
    this.#close(error === null ? (isDone ? NORMAL_END : GOING_AWAY) : closeCodeOf(error), error instanceof GoingAway ? error.message : '');
    this.#socket.setTimeout(CLOSE_MS, () => this.#socket.destroy());
    this.#socket.destroySoon();
    done(error);
  }

  #take(chunk: Buffer): void {
    this.#onHeard();
    let data: Buffer | undefined; // what of the chunk is to be handed on together
    try {
      for (const part of this.#reader.push(chunk)) {
        if (part.kind === 'data') {
          data = closeUp(data, part.bytes);
        } else {
          this.#give(data);
          data = undefined;
          this.#takePart(part);
        }
      }
      this.#give(data, chunk);
    } catch (error) {
      this.#close((error as FrameError).code);
      this.#fail(error as Error);
    }
  }

  /** @param whole the chunk that it is of, where nothing else is left of that */
  #give(data: Buffer | undefined, whole?: Buffer): void {
    if (data === undefined || this.#hasEnded) {
      return;
    }
    const isAlone = whole !== undefined && data.buffer === whole.buffer && whole.buffer.byteLength === whole.length;
    if (!this.push(isAlone ? markSole(data) : data)) {
      this.#socket.pause();
    }
    if (this.#endsWhole && this.readableFlowing === true && this.readableLength === 0) {
      freeBuffer(data); // HTTP/2 has taken a copy (js_stream.cc, ReadBuffer)
    }
  }

  #takePart(part: Exclude<FramePart, { readonly kind: 'data' }>): void {
    switch (part.kind) {
      case 'empty':
        this.#endReading();
        break;
      case 'ping':
        this.#send(OPCODE.pong, Buffer.from(part.bytes));
        break;
      case 'pong':
        break;
      case 'close':
        this.#takeClose(Buffer.from(part.bytes));
        break;
      default:
        part satisfies never;
    }
  }

  #takeClose(payload: Buffer): void {
    const code = payload.length < 2 ? NO_CODE : payload.readUInt16BE();
    if (code !== NORMAL_END && code !== NO_CODE && !(this.#hasEnded && this.#hasFinished)) {
      this.#fail(new ClosedByPeer(payload.toString('utf8', 2)));
      return;
    }
    this.#endReading();
    this.#close(NORMAL_END);
    this.#socket.end();
  }

  #fail(error: Error | undefined): void {
    this.destroy(this.#endsWhole ? undefined : error);
  }

  #endReading(): void {
    if (this.#endsWhole) {
      this.destroy();
    } else if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.push(null);
      this.#closeWhenDone();
    }
  }

  /** Both directions have ended: nothing is left to say. */
  #closeWhenDone(): void {
    if (this.#hasEnded && this.#hasFinished) {
      this.#close(NORMAL_END);
      this.#socket.end();
    }
  }

  /** The connection has gone: in the middle of something, unless both directions had ended. */
  #lose(): void {
    if (this.#hasEnded && this.#hasFinished) {
      return; // ends by itself once what came is read
    }
    this.#fail(this.#hasEnded || this.#hasSentClose ? undefined : new ConnectionLost());
  }

  #close(code: number, reason = ''): void {
    if (!this.#hasSentClose && this.#socket.writable) {
      const payload = Buffer.alloc(2 + MAX_REASON_BYTES);
      payload.writeUInt16BE(code);
      this.#send(OPCODE.close, payload.subarray(0, 2 + payload.write(reason, 2))); // as many whole characters as fit
    }
    this.#hasSentClose = true;
  }

  /** A control frame, or an empty message. */
  #send(opcode: Opcode, payload: Uint8Array, done?: (error?: Error | null) => void): void {
    if (!this.#socket.writable || this.#hasSentClose) {
      done?.(this.#hasSentClose ? null : new ConnectionLost());
      return;
    }
    const mask = this.#role === 'client' ? randomMask() : undefined;
    const body = Buffer.from(payload);
    if (mask !== undefined) {
      applyMask(body, mask);
    }
    this.#socket.write(Buffer.concat([encodeHeader(opcode, payload.length, mask), body]), done);
  }
}

const EMPTY = Buffer.alloc(0);

function sumLengths(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
