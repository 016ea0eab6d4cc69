/**
 * Probe: one check of a container from outside: an HTTP GET or a TCP connection to its address.
 *
 * Never    follows a redirect, reads more of a body than a message holds, throws for what the container does, or counts time against
 *          the container in which the agent did not run.
 * Callers  health-checker.ts.
 * Source   Kubernetes' httpGet and tcpSocket probes: any status from 200 to 399 passes, certificates are not verified.
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { connect } from 'node:net';
import type { HttpGet, TcpSocket } from '../../api/project/health-check.ts';
import type { Clock } from '../../base/clock.ts';
import { http } from '../../base/node-http.ts';
import { VERSION } from '../../base/version.ts';
import type { ProbeTarget } from './agent-check.ts';
import { sleepAwake } from './awake.ts';

const MAX_BODY = 1024; // bytes; more than a message shows

export interface ProbeResult {
  readonly hasPassed: boolean;
  /** how it ended, in a sentence without a full stop: "GET http://10.0.0.2:80/ answered 503 Service Unavailable: warming up" */
  readonly output: string;
  /** the address did not answer at all: it may be out of the agent's reach */
  readonly isSilent?: boolean;
}

interface ProbeOptions {
  readonly target: ProbeTarget;
  /** IP of the container */
  readonly address: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** @throws the signal's reason when aborted first */
export async function runProbe({ target, address, timeoutMs, clock }: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const action = describe(target, address);
  const late: ProbeResult = { hasPassed: false, output: `${action} did not end within ${timeoutMs} ms`, isSilent: true };
  const limit = sleepAwake(clock, timeoutMs, stop.signal).then(
    () => late,
    () => late, // stopped: the other has won
  );
  try {
    signal.throwIfAborted();
    const probe = 'httpGet' in target ? get(target.httpGet, address, stop.signal) : dial(target.tcpSocket, address, stop.signal);
    const result = await Promise.race([probe.catch((error: unknown) => toFailure(action, error)), limit]);
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop.abort();
    await limit;
  }
}

function describe(target: ProbeTarget, address: string): string {
  return 'httpGet' in target ? `GET ${urlOf(target.httpGet, address)}` : `Connecting to ${hostOf(address)}:${target.tcpSocket.port}`;
}

function urlOf({ scheme = 'HTTP', port, path = '/' }: HttpGet, address: string): string {
  return `${scheme.toLowerCase()}://${hostOf(address)}:${port}${path}`;
}

function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

async function get(check: HttpGet, address: string, signal: AbortSignal): Promise<ProbeResult> {
  const response = await send(check, address, signal);
  const { statusCode = 0, statusMessage = '' } = response;
  const hasPassed = check.status === undefined ? statusCode >= 200 && statusCode < 400 : statusCode === check.status;
  const body = hasPassed ? '' : toText(await readStart(response), response.headers['content-type']);
  const wanted = check.status === undefined || hasPassed ? '' : `, not ${check.status}`;
  const output = `GET ${urlOf(check, address)} answered ${`${statusCode} ${statusMessage}`.trim()}${wanted}`;
  return { hasPassed, output: body === '' ? output : `${output}: ${body}` };
}

async function send(check: HttpGet, address: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers: Record<string, string> = { 'user-agent': `cara-agent/${VERSION}`, accept: '*/*' };
  for (const { name, value } of check.httpHeaders ?? []) {
    headers[name.toLowerCase()] = value;
  }
  // its own connection each time: a pooled one would tell of a server that no longer accepts any
  const options: RequestOptions = { host: address, port: check.port, path: check.path ?? '/', headers, agent: false, signal };
  const request = check.scheme === 'HTTPS' ? sendSecurely(options) : http.request(options);
  request.on('response', resolve);
  request.on('error', reject);
  request.on('upgrade', (response: IncomingMessage, socket) => {
    socket.destroy();
    resolve(response);
  });
  request.end();
  return await promise;
}

/** Loaded where it is needed: TLS is memory. */
function sendSecurely(options: RequestOptions): ClientRequest {
  return process.getBuiltinModule('node:https').request({ ...options, rejectUnauthorized: false });
}

/** What a person would read of a page. */
function toText(body: string, contentType = ''): string {
  if (!contentType.includes('html')) {
    return body;
  }
  const text = body.replaceAll(/<(?<tag>style|script)\b.*?(?:<\/\k<tag>>|$)/giu, ' ').replaceAll(/<[^>]*(?:>|$)/gu, ' ');
  return text.replaceAll(/\s+/gu, ' ').trim();
}

/** The beginning of a body, in one line; what breaks off is taken as far as it came. */
async function readStart(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= MAX_BODY) {
        break; // closes the connection
      }
    }
  } catch {
    // it broke off
  }
  const text = Buffer.concat(chunks).subarray(0, MAX_BODY).toString('utf8');
  return text.replaceAll(/\s+/gu, ' ').trim();
}

async function dial({ port }: TcpSocket, address: string, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: address, port, signal });
  socket.once('connect', resolve);
  socket.on('error', reject);
  try {
    await promise;
    return { hasPassed: true, output: `Connected to ${hostOf(address)}:${port}` };
  } finally {
    socket.destroy();
  }
}

const SILENT = ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL', 'EACCES', 'EPERM'];

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed before an answer',
  EPIPE: 'connection closed before an answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
};

function toFailure(action: string, error: unknown): ProbeResult {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const why = WORDS[code] ?? (error instanceof Error ? error.message : String(error));
  return { hasPassed: false, output: `${action} failed: ${why}`, ...(SILENT.includes(code) && { isSilent: true }) };
}
