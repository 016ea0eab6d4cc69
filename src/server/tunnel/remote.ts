/**
 * A way to a node's agent: what the direct path and the tunnel have in common.
 *
 * Failures of the way itself are LinkBroken: then another way may do. What the agent refuses is an ApiError, the same on every way.
 */
import type { Duplex, Readable } from 'node:stream';
import { ApiError, fromProblem } from '../../api/errors.ts';
import { parseJson } from '../../base/parse-json.ts';

export interface NodeRequest {
  readonly method: 'GET' | 'HEAD';
  /** path and query of the agent's API, such as /api/v1/logs/shop/web?tail=10 */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface NodeAnswer {
  readonly status: number;
  /** names in lower case */
  readonly headers: Readonly<Record<string, string>>;
  /** takes no more from the agent than is read; must be read or destroyed */
  readonly body: Readable;
}

export interface Remote {
  /** @param credential the agent's @throws {LinkBroken}; {ApiError} what the agent refuses */
  request(request: NodeRequest, credential: string, signal: AbortSignal): Promise<NodeAnswer>;
  /** A stream both ways, each direction ending by itself. @throws as `request` */
  open(path: string, credential: string, signal: AbortSignal): Promise<Duplex>;
  /** @returns how long a round trip takes, in milliseconds @throws {LinkBroken} */
  ping(signal: AbortSignal): Promise<number>;
}

/** The way to the agent does not carry: it could not be taken, or broke before there was an answer. */
export class LinkBroken extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'LinkBroken';
  }
}

const MAX_PROBLEM_BYTES = 64 * 1024;

/** Makes an ApiError of an answer of 4xx or 5xx; where its body is cut, of its status and what came. Never rejects. */
export async function readRefusal(status: number, body: Readable): Promise<ApiError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_PROBLEM_BYTES) {
        break;
      }
      chunks.push(chunk);
    }
  } catch {
    // An agent that has refused may reset the stream before its words are read: the answer is a refusal all the same.
  }
  return fromProblem(status, parseJson(Buffer.concat(chunks).toString()));
}
