/**
 * The agent's own HTTP server: for people and for the control plane to look at this node.
 *
 * Owns     the listening socket.
 * Never    changes anything.
 * Callers  main.ts starts and stops it; its port is reported as status.network.agentPort.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError, toProblem } from '../../api/errors.ts';
import { http } from '../../base/node-http.ts';
import { StartError } from '../../base/program.ts';

/** Answers one request. @throws {ApiError} for what it refuses */
export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

export interface Route {
  readonly method: 'GET';
  /** matched whole against the path; named groups are the handler's to read */
  readonly path: RegExp;
  readonly handle: Handler;
}

export interface AgentServer {
  /** really bound */
  readonly port: number;
  /** such as "http://127.0.0.1:9090" */
  readonly url: string;
  close(): Promise<void>;
}

export interface AgentServerOptions {
  readonly host: string;
  /** 0 takes a free one */
  readonly port: number;
  readonly routes: readonly Route[];
  /** a handler threw what is no ApiError: a bug */
  readonly onBug: (error: unknown, path: string) => void;
}

/** Listens. @throws {StartError} when the address cannot be bound */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const server = http.createServer((request, response) => void answer(request, response, options));
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      await promise;
    },
  };
}

async function listen(server: Server, { host, port }: AgentServerOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw toStartError(error as NodeJS.ErrnoException, host, port);
  } finally {
    server.off('error', reject);
  }
}

function toStartError(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  const where = `Cannot listen on ${host}:${port}`;
  switch (error.code ?? '') {
    case 'EADDRINUSE':
      return new StartError(`${where} as the port is in use: set AGENT_PORT to another one, or to 0 for a free one`, { cause: error });
    case 'EACCES':
      return new StartError(`${where} as this user may not: set AGENT_PORT to 1024 or above`, { cause: error });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new StartError(`${where} as this machine has no such address: set AGENT_HOST to one that it has`, { cause: error });
    default:
      return new StartError(`${where}: ${error.message}`, { cause: error });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, { routes, onBug }: AgentServerOptions): Promise<void> {
  const url = URL.parse(request.url ?? '/', 'http://agent') ?? new URL('http://agent/');
  try {
    await chooseRoute(routes, request, response, url).handle(request, response, url);
  } catch (error) {
    if (!(error instanceof ApiError)) {
      onBug(error, url.pathname);
    }
    sendProblem(
      response,
      error instanceof ApiError ? error : new ApiError('Internal', `Cannot answer ${url.pathname}: see the agent's log`),
    );
  }
}

function chooseRoute(routes: readonly Route[], request: IncomingMessage, response: ServerResponse, url: URL): Route {
  const matching = routes.filter(({ path }) => path.test(url.pathname));
  if (matching.length === 0) {
    throw new ApiError('NotFound', `Cannot find ${url.pathname}: this is cara-agent; its health is at /healthz`);
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = matching.find((route) => route.method === method);
  if (found === undefined) {
    const allowed = matching.map((route) => route.method).join(', ');
    response.setHeader('allow', allowed);
    throw new ApiError('MethodNotAllowed', `Cannot ${request.method ?? ''} ${url.pathname}: allowed is ${allowed}`);
  }
  return found;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', body);
}

function sendProblem(response: ServerResponse, error: ApiError): void {
  if (response.headersSent) {
    response.destroy(); // too late for words: the other side sees that it is cut short
    return;
  }
  send(response, error.status, 'application/problem+json', toProblem(error));
}

function send(response: ServerResponse, status: number, contentType: string, body: unknown): void {
  const content = JSON.stringify(body);
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(content), 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : content);
}
