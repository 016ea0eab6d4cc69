/** The two headers by which both ends of a WebSocket agree on one. Source: RFC 6455 section 1.3. */

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

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
