/**
 * What goes over the stream of an exec, between caractrl and the agent: frames of one byte for the kind, four for the length (big-endian) and
 * the payload. Where the stream is a WebSocket the boundaries of its messages mean nothing. Pure.
 *
 * To the agent: `stdin`, `stdinEnd`, `resize`, `detach`. From it: `stdout`, `stderr`, and as the last one `exit` or `error`.
 */

export const EXEC_FRAME = { stdin: 0, stdout: 1, stderr: 2, stdinEnd: 3, resize: 4, detach: 5, exit: 6, error: 7 } as const;
export type ExecFrameKind = keyof typeof EXEC_FRAME;

export interface ExecFrame {
  readonly kind: ExecFrameKind;
  /** `resize`: TerminalSize as JSON; `exit`: ExecExit; `error`: a problem document */
  readonly payload: Uint8Array;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ExecExit {
  readonly exitCode: number;
}

const HEADER_BYTES = 5;

/** Of one payload; what is longer goes as several. */
const MAX_PAYLOAD_BYTES = 32 * 1024;

/** The kinds by their numbers. */
const KINDS = Object.keys(EXEC_FRAME) as readonly ExecFrameKind[];

/** Frames of bytes: one, or as many as it takes; at least one. */
export function encodeExecFrames(kind: ExecFrameKind, payload: Uint8Array = EMPTY): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < payload.length || frames.length === 0; at += MAX_PAYLOAD_BYTES) {
    const piece = payload.subarray(at, at + MAX_PAYLOAD_BYTES);
    const frame = new Uint8Array(HEADER_BYTES + piece.length);
    frame[0] = EXEC_FRAME[kind];
    new DataView(frame.buffer).setUint32(1, piece.length);
    frame.set(piece, HEADER_BYTES);
    frames.push(frame);
  }
  return frames;
}

/** One frame of a value as JSON. @throws {RangeError} where it is too long for one */
export function encodeExecMessage(kind: 'resize' | 'exit' | 'error', value: TerminalSize | ExecExit | object): Uint8Array {
  const [frame, ...more] = encodeExecFrames(kind, new TextEncoder().encode(JSON.stringify(value)));
  if (frame === undefined || more.length > 0) {
    throw new RangeError(`Cannot send a message of more than ${MAX_PAYLOAD_BYTES} bytes`);
  }
  return frame;
}

/** @throws {RangeError} where it is no JSON */
export function decodeExecMessage({ kind, payload }: ExecFrame): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch (cause) {
    throw new RangeError(`Cannot read a frame of kind ${kind} as it is no JSON`, { cause });
  }
}

const EMPTY = new Uint8Array(0);

/** Puts frames together from the chunks of a connection, which cuts them anywhere. Holds less than one frame. */
export class ExecFrameReader {
  #rest: Uint8Array = EMPTY;

  /** Takes the next chunk. @returns the frames that it completes; their payloads are views @throws {RangeError} for what is no such stream */
  push(chunk: Uint8Array): readonly ExecFrame[] {
    const bytes = this.#rest.length === 0 ? chunk : concat(this.#rest, chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const frames: ExecFrame[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const kind = KINDS[view.getUint8(at)];
      const length = view.getUint32(at + 1);
      if (kind === undefined || length > MAX_PAYLOAD_BYTES) {
        throw new RangeError(`Cannot read a frame of kind ${view.getUint8(at)} and ${length} bytes`);
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) {
        break;
      }
      frames.push({ kind, payload: bytes.subarray(at + HEADER_BYTES, end) });
      at = end;
    }
    this.#rest = bytes.slice(at); // a copy: it must not keep the chunk alive
    return frames;
  }
}

function concat(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}
