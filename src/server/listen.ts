/** Listening and the end of it. */
import type { FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { StartError } from '../base/program.ts';

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Starts to listen. @returns the URL with the port really bound @throws {StartError} when the address cannot be had */
export async function listen(
  app: FastifyInstance,
  { HOST: host, PORT: port }: { readonly HOST: string; readonly PORT: number },
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new StartError(`Cannot listen on ${host}:${port} as ${explain(error)}`, { cause: error });
  }
  return boundUrl(app, host) ?? '';
}

/** The URL of a server that listens, seen from its own machine; undefined where it does not, as where it is called in its own process. */
export function boundUrl(app: FastifyInstance, host: string): string | undefined {
  const address = app.server.address() as AddressInfo | null;
  if (address === null) {
    return undefined;
  }
  const { port: bound } = address;
  const shown = WILDCARDS.has(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${'setSecureContext' in app.server ? 'https' : 'http'}://${shown}:${bound}`;
}

/** The URL under which other machines reach a server that listens on `host`, as far as can be told. */
export function toReachableUrl(url: string, host: string): string {
  if (!WILDCARDS.has(host)) {
    return url;
  }
  const address = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  return url.replace('127.0.0.1', address ?? hostname());
}

function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is in use: set PORT to a free one, or to 0 to take any';
    case 'EACCES':
      return 'this user may not take that port: set PORT to one above 1023';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address: set HOST to one that it has';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is unknown: set HOST to an address of this machine';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** ms; how long answers under way have to end before their connections are cut. */
const GRACE_MS = 3000;
const POLL_MS = 50;

/** Stops accepting, lets answers under way end, and cuts what has not ended after 3 s. */
export async function closeApp(app: FastifyInstance, clock: Clock): Promise<void> {
  const closed = new AbortController();
  const closing = app.close().finally(() => closed.abort());
  const hurry = async (): Promise<void> => {
    const deadlineMs = clock.monotonicMs() + GRACE_MS;
    while (!closed.signal.aborted && clock.monotonicMs() < deadlineMs) {
      app.server.closeIdleConnections(); // those kept alive whose answer has ended since
      await clock.sleep(POLL_MS, closed.signal).catch(() => undefined); // aborted: closed
    }
    app.server.closeAllConnections();
  };
  await Promise.all([closing, hurry()]);
}
