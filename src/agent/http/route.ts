/**
 * What a route of the agent's own API is: handlers that know nothing of the way a request came, so that the same ones serve the TCP port
 * and the tunnel.
 */
import type { Duplex } from 'node:stream';

export interface AgentRequest {
  readonly method: string;
  readonly url: URL;
  /** named groups of the route's path, decoded */
  readonly params: Readonly<Record<string, string>>;
  /** @param name in lower case */
  readonly header: (name: string) => string | undefined;
  /** aborts when whoever asked has gone, or the agent stops */
  readonly signal: AbortSignal;
}

export interface AgentReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** chunks are taken no faster than the asker takes them */
  readonly body: string | AsyncIterable<Uint8Array>;
}

interface AnyRoute {
  /** matched whole against the path; named groups become `params` */
  readonly path: RegExp;
  /** whoever reaches the port may ask; default: the server alone */
  readonly isPublic?: true;
}

/** Serves a stream until both directions have ended or the signal aborts. Whatever it throws cuts the stream. */
export type ServeStream = (stream: Duplex, signal: AbortSignal) => Promise<void>;

/** GET and HEAD. */
export interface ReplyRoute extends AnyRoute {
  readonly kind: 'reply';
  /** @throws {ApiError} for what it refuses */
  readonly handle: (request: AgentRequest) => Promise<AgentReply> | AgentReply;
}

/** A stream both ways: CONNECT through the tunnel; on the TCP port GET with an upgrade, see upgrade.ts. */
export interface StreamRoute extends AnyRoute {
  readonly kind: 'stream';
  /** Resolves when the stream can be served. @throws {ApiError} for what it refuses, before anything is switched */
  readonly open: (request: AgentRequest) => Promise<ServeStream>;
}

export type Route = ReplyRoute | StreamRoute;

export function jsonReply(status: number, body: unknown, contentType = 'application/json'): AgentReply & { readonly body: string } {
  const content = JSON.stringify(body);
  return { status, headers: { 'content-type': contentType, 'content-length': String(Buffer.byteLength(content)) }, body: content };
}
