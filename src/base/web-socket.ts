/**
 * A WebSocket as a byte stream, for either end.
 *
 * Owns     the connection after its handshake. The boundaries of messages do not count; an empty message ends one direction, as FIN does
 *          for TCP, which WebSocket itself does not know. Pings are answered, and counted as `heard` like everything that comes.
 * Never    waits by itself: whoever uses it decides when silence is an end (`heard`, `ping`).
 * Callers  the tunnel on both sides (agent/session/tunnel.ts, server/tunnel), agent/http/upgrade.ts.
 * Source   RFC 6455. Not the package `ws`: with what that loads an agent has 12 MB more resident memory (Node 26.10).
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { freeBuffer, markSole } from './free-buffer.ts';
import { applyMask, encodeHeader, FrameError, FrameReader, OPCODE, type FramePart, type Opcode } from './web-socket-frames.ts';

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const MAX_FRAME_BYTES = 64 * 1024; // so that a ping never waits behind more than this
const NORMAL_END = 1000;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
const NO_CODE = 1005; // a close frame without content
const MAX_REASON_BYTES = 123;
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
    this.#close(error === null ? (isDone ? NORMAL_END : GOING_AWAY) : codeOf(error), error instanceof GoingAway ? error.message : '');
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

/** Puts what is to be written into messages of 64 KiB at most, without copying. */
function toMessages(chunks: readonly Buffer[]): readonly (readonly Uint8Array[])[] {
  const messages: Uint8Array[][] = [];
  let room = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      if (room === 0) {
        messages.push([]);
        room = MAX_FRAME_BYTES;
      }
      const piece = chunk.subarray(at, at + room);
      messages.at(-1)?.push(piece);
      at += piece.length;
      room -= piece.length;
    }
  }
  return messages;
}

/** Makes one of two views of the same buffer by closing the gap between them: moving a few bytes costs less than another write. */
function closeUp(left: Buffer | undefined, right: Uint8Array): Buffer {
  const start = left === undefined ? right.byteOffset : left.length < right.length ? right.byteOffset - left.length : left.byteOffset;
  const both = Buffer.from(right.buffer, start, (left?.length ?? 0) + right.length);
  if (left !== undefined && start === left.byteOffset) {
    both.set(right, left.length);
  } else if (left !== undefined) {
    both.set(left);
  }
  return both;
}

/** The other end went away without a word. */
export class ConnectionLost extends Error {
  readonly code = 'ECONNRESET';

  constructor() {
    super('The connection was cut');
    this.name = 'ConnectionLost';
  }
}

/** A reason to destroy a stream with: its message is told to the other end. At most 123 bytes of it. */
export class GoingAway extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GoingAway';
  }
}

/** The other end closed the connection in the middle of something. The message is its words; "" for none. */
export class ClosedByPeer extends Error {
  readonly code = 'ECONNRESET';

  constructor(reason: string) {
    super(reason);
    this.name = 'ClosedByPeer';
  }
}

function codeOf(error: Error): number {
  return error instanceof FrameError ? error.code : error instanceof GoingAway ? GOING_AWAY : INTERNAL_ERROR;
}

/** `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`. */
export function acceptOf(key: string): string {
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64');
}

/** A `Sec-WebSocket-Key`. */
export function newWebSocketKey(): string {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString('base64');
}

let masks = new Uint8Array(0);
let nextMask = 0;

/** Unpredictable, as RFC 6455 section 5.3 wants it; taken from the system in portions, as each call costs a microsecond. */
function randomMask(): Uint8Array {
  if (nextMask >= masks.length) {
    masks = globalThis.crypto.getRandomValues(new Uint8Array(4096));
    nextMask = 0;
  }
  nextMask += 4;
  return masks.subarray(nextMask - 4, nextMask);
}
