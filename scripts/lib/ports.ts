/** Free TCP ports on this machine. */
import { createServer } from 'node:net';

const TRIES = 100;

/**
 * The preferred port, else the first free one above it, else any.
 * @param host the address that it will be bound to; 0.0.0.0 for all
 */
export async function findFreePort(preferred: number, host: string): Promise<number> {
  for (let port = preferred; port < preferred + TRIES && port <= 65_535; port += 1) {
    if ((await tryListen(port, host)) !== undefined) {
      return port;
    }
  }
  return (await tryListen(0, host)) ?? 0;
}

/** @returns the port, closed again; undefined when it is taken */
async function tryListen(port: number, host: string): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const server = createServer();
  server.on('error', () => resolve(undefined));
  server.listen({ port, host, exclusive: true }, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
  });
  return await promise;
}
