/** What both ends of a tunnel agree on. Callers: agent/http/tunnel-front.ts, server/tunnel/tunnel.ts. */

/** At once on one agent, whichever way they come; the 257th is refused. Each holds a window's worth of memory at most at either end. */
export const MAX_STREAMS = 256;

/** Per stream: 5 MB/s over a line of 50 ms; 64 MiB for all streams when nobody reads any of them. */
const STREAM_WINDOW_BYTES = 256 * 1024;

/** For all streams of a tunnel together: enough that one that is not read never stops another. */
export const CONNECTION_WINDOW_BYTES = MAX_STREAMS * STREAM_WINDOW_BYTES;

/** MB of an HTTP/2 session, beyond which Node refuses new streams: what the windows allow, twice. */
export const MAX_SESSION_MB = 128;

export const TUNNEL_SETTINGS = {
  enablePush: false,
  initialWindowSize: STREAM_WINDOW_BYTES,
  maxConcurrentStreams: MAX_STREAMS,
} as const;

/** The agent asks for a sign of life so often while nothing comes, and either end gives up after so much silence. */
export const TUNNEL_PING_MS = 4000;
export const TUNNEL_SILENCE_MS = 12_000; // with one sweep or ping more: noticed within 15 s

/** Where an agent opens its tunnel, after `/api/v1/nodes/NAME`. */
export const TUNNEL_PATH = 'tunnel';
