/**
 * The agent's own HTTP server: for the control plane to look at this node, and for people to see that it is alive.
 *
 * Owns     the listening socket, and what was upgraded on it.
 * Callers  composition.ts starts it, main.ts stops it; its port is reported as status.network.agentPort.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { http } from '../../base/node-http.ts';
import { StartError } from '../../base/program.ts';
import type { Dispatcher } from './dispatcher.ts';
import { sendReply } from './send-reply.ts';
import { acceptUpgrades } from './upgrade.ts';

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
  readonly dispatcher: Dispatcher;
}

/** Listens. @throws {StartError} when the address cannot be bound */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const server = http.createServer((request, response) => void answer(request, response, options.dispatcher));
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  const upgrades = acceptUpgrades(server, options.dispatcher);
  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      upgrades.close();
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

async function answer(request: IncomingMessage, response: ServerResponse, dispatcher: Dispatcher): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { method = '', url: target = '/', headers } = request;
  const header = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  const reply = await dispatcher.answer({ method, target, header, signal: gone.signal });
  response.writeHead(reply.status, { ...reply.headers, 'cache-control': 'no-store' });
  await sendReply(reply, response, { isHead: method === 'HEAD', target, dispatcher });
}
