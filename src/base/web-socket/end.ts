/** How a WebSocket ends: the codes of close frames (RFC 6455 section 7.4), and the errors that they become. */
import { FrameError } from './frames.ts';

export const NORMAL_END = 1000;
export const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
export const NO_CODE = 1005; // a close frame without content
export const MAX_REASON_BYTES = 123;

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

/** The code for a stream that is destroyed with `error`. */
export function closeCodeOf(error: Error): number {
  return error instanceof FrameError ? error.code : error instanceof GoingAway ? GOING_AWAY : INTERNAL_ERROR;
}
