/** A few calls to a Docker engine for scripts and tests. The agent's client lives in src/agent/docker; this one knows no endpoint. */
import { request } from 'node:http';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface EngineRequest {
  /** unix:///path or tcp://host:port */
  readonly host: string;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** from the root, with query */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
  readonly timeoutMs?: number;
}

export interface EngineResponse {
  readonly status: number;
  readonly text: string;
}

/** Sends one request and reads the whole answer. @throws {Error} when nothing answers in time */
export async function callEngine(call: EngineRequest): Promise<EngineResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<EngineResponse>();
  const outgoing = request(
    { ...targetOf(call.host), method: call.method ?? 'GET', path: call.path, headers: { host: 'docker', ...call.headers } },
    (incoming) => {
      text(incoming).then((body) => resolve({ status: incoming.statusCode ?? 0, text: body }), reject);
    },
  );
  const timeoutMs = call.timeoutMs ?? 30_000;
  outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`Engine at ${call.host} did not answer within ${timeoutMs / 1000} s`)));
  outgoing.on('error', reject);
  if (call.body === undefined || typeof call.body === 'string') {
    outgoing.end(call.body);
  } else {
    call.body.on('error', (error) => outgoing.destroy(error));
    call.body.pipe(outgoing);
  }
  return await promise;
}

/** As `callEngine`, for JSON. @throws {Error} with the engine's own message for an answer of 400 or more */
export async function callEngineJson(call: EngineRequest): Promise<unknown> {
  const { status, text: body } = await callEngine(call);
  if (status >= 400) {
    throw new Error(`Cannot ${call.method ?? 'GET'} ${call.path} on ${call.host}: status ${status}: ${body.trim()}`);
  }
  return body.trim() === '' ? undefined : JSON.parse(body);
}

/** True when a Docker engine answers at `host` within two seconds. */
export async function isEngineAt(host: string): Promise<boolean> {
  try {
    const { status, text: body } = await callEngine({ host, path: '/_ping', timeoutMs: 2000 });
    return status === 200 && body.trim() === 'OK';
  } catch {
    return false; // no socket, nobody behind it, no right to open it, or no host we can talk to
  }
}

function targetOf(host: string): { socketPath: string } | { host: string; port: number } {
  if (host.startsWith('unix://')) {
    return { socketPath: host.slice('unix://'.length) };
  }
  const url = URL.parse(host);
  if (url === null || !['tcp:', 'http:'].includes(url.protocol)) {
    throw new Error(
      `Cannot reach the Docker engine as DOCKER_HOST must be unix:///path or tcp://host:port: current value is ${JSON.stringify(host)}`,
    );
  }
  return { host: url.hostname.replace(/^\[(.*)\]$/u, '$1'), port: Number(url.port === '' ? 2375 : url.port) };
}
