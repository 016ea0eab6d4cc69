/**
 * WebSocket frames: bytes of a connection to payloads, and back. Pure.
 *
 * Only what a byte stream needs: the boundaries of messages do not matter, so that fragments need not be put together.
 * Source   RFC 6455 section 5.
 */

import { applyMask } from './mask.ts';

const FIN = 0x80;
const RESERVED = 0x70; // extensions, of which none is negotiated
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const CONTINUATION = 0x0;
const MAX_CONTROL_BYTES = 125;

export const OPCODE = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

/** A piece of what came: a control frame whole, data as it arrives. */
export type FramePart =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** a message without content */
  | { readonly kind: 'empty' }
  | { readonly kind: 'ping' | 'pong' | 'close'; readonly bytes: Uint8Array };

/** The other side breaks the protocol; `code` is what the close frame says. */
export class FrameError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'FrameError';
    this.code = code;
  }
}

interface Frame {
  readonly opcode: number;
  readonly mask: Uint8Array | undefined;
  readonly isEmptyMessage: boolean;
  left: number;
  /** bytes of the payload seen, for the phase of the mask */
  seen: number;
}

/** Takes frames apart. Data is given as it comes, unmasked in place: nothing is collected but headers and control frames. */
export class FrameReader {
  readonly #expectsMask: boolean;
  #rest: Buffer = Buffer.alloc(0);
  #frame: Frame | undefined;

  /** @param role the reader's own: a server gets masked frames, a client bare ones */
  constructor(role: 'client' | 'server') {
    this.#expectsMask = role === 'server';
  }

  /** @throws {FrameError} */
  *push(chunk: Buffer): Generator<FramePart> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = EMPTY;
    while (bytes.length > 0) {
      if (this.#frame === undefined) {
        const header = readHeader(bytes, this.#expectsMask);
        if (header === undefined) {
          this.#rest = Buffer.from(bytes); // a copy: 14 bytes must not keep the chunk alive
          return;
        }
        this.#frame = header.frame;
        bytes = bytes.subarray(header.length);
      }
      const frame = this.#frame;
      if (isControl(frame.opcode) && bytes.length < frame.left) {
        this.#rest = Buffer.from(bytes);
        return;
      }
      const payload = bytes.subarray(0, frame.left);
      bytes = bytes.subarray(payload.length);
      if (frame.mask !== undefined) {
        applyMask(payload, frame.mask, frame.seen);
      }
      frame.left -= payload.length;
      frame.seen += payload.length;
      if (frame.left === 0) {
        this.#frame = undefined;
      }
      const part = toPart(frame, payload);
      if (part !== undefined) {
        yield part;
      }
    }
  }
}

const EMPTY = Buffer.alloc(0);

function toPart({ opcode, isEmptyMessage }: Frame, bytes: Buffer): FramePart | undefined {
  switch (opcode) {
    case OPCODE.ping:
      return { kind: 'ping', bytes };
    case OPCODE.pong:
      return { kind: 'pong', bytes };
    case OPCODE.close:
      return { kind: 'close', bytes };
    default:
      return isEmptyMessage ? { kind: 'empty' } : bytes.length === 0 ? undefined : { kind: 'data', bytes };
  }
}

/** @returns undefined when there is not enough yet */
function readHeader(bytes: Buffer, expectsMask: boolean): { readonly frame: Frame; readonly length: number } | undefined {
  const [first = 0, second = 0] = bytes;
  if (bytes.length < 2) {
    return undefined;
  }
  const short = second & 0x7f;
  const lengthBytes = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
  const isMasked = (second & MASKED) !== 0;
  const length = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < length) {
    return undefined;
  }
  const left = lengthBytes === 2 ? bytes.readUInt16BE(2) : lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : short;
  const opcode = first & 0x0f;
  check({ first, opcode, isMasked, left }, expectsMask);
  const mask = isMasked ? Uint8Array.from(bytes.subarray(length - 4, length)) : undefined;
  const isEmptyMessage = left === 0 && (first & FIN) !== 0 && opcode !== CONTINUATION;
  return { frame: { opcode, mask, isEmptyMessage, left, seen: 0 }, length };
}

interface Header {
  readonly first: number;
  readonly opcode: number;
  readonly isMasked: boolean;
  readonly left: number;
}

function check({ first, opcode, isMasked, left }: Header, expectsMask: boolean): void {
  if ((first & RESERVED) !== 0) {
    throw new FrameError(1002, 'Cannot read WebSocket frame as a reserved bit is set');
  }
  if (isMasked !== expectsMask) {
    throw new FrameError(1002, `Cannot read WebSocket frame as it ${expectsMask ? 'is not' : 'is'} masked`);
  }
  if (isControl(opcode) && (left > MAX_CONTROL_BYTES || (first & FIN) === 0)) {
    throw new FrameError(1002, 'Cannot read WebSocket frame as a control frame is too long, or in pieces');
  }
  if (opcode !== CONTINUATION && !Object.values(OPCODE).some((known) => known === opcode)) {
    throw new FrameError(1002, `Cannot read WebSocket frame of unknown opcode ${opcode}`);
  }
  if (!Number.isSafeInteger(left)) {
    throw new FrameError(1009, 'Cannot read WebSocket frame as its length is beyond reason');
  }
}

function isControl(opcode: number): boolean {
  return (opcode & 0x8) !== 0;
}

/**
 * The header of one frame that is a whole message.
 * @param mask what a client masks its payload with (`applyMask`); undefined: a server's frame
 */
export function encodeHeader(opcode: Opcode, payloadBytes: number, mask?: Uint8Array): Buffer {
  const lengthBytes = payloadBytes < LENGTH_16 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  const header = Buffer.alloc(2 + lengthBytes + (mask?.length ?? 0));
  const short = lengthBytes === 0 ? payloadBytes : lengthBytes === 2 ? LENGTH_16 : LENGTH_64;
  header[0] = FIN | opcode;
  header[1] = (mask === undefined ? 0 : MASKED) | short;
  if (lengthBytes === 2) {
    header.writeUInt16BE(payloadBytes, 2);
  } else if (lengthBytes === 8) {
    header.writeBigUInt64BE(BigInt(payloadBytes), 2);
  }
  header.set(mask ?? EMPTY, 2 + lengthBytes);
  return header;
}
