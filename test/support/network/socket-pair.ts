/** The two ends of a connection on loopback. */
import { once } from 'node:events';
import net from 'node:net';

/** A listener on a free port. A direction of what it accepts does not end because the other does. */
export async function listenOnLoopback(): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Connects to `server`. @returns the end that dialled, and the one that was accepted */
export async function connectTo(
  server: net.Server,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<readonly [dialled: net.Socket, accepted: net.Socket]> {
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  const dialled = net.connect({ ...options, port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' });
  const [[accepted]] = await Promise.all([connection, once(dialled, 'connect')]);
  return [dialled, accepted];
}
