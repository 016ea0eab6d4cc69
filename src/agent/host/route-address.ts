/** The local address of the route to a server: under it that server can most probably reach this machine. */
import dgram from 'node:dgram';
import { lookup } from 'node:dns/promises';

/** Connects a UDP socket, which picks a route and sends nothing. @throws when the host has no address or no route leads there */
export async function findRouteAddress(serverUrl: string): Promise<string> {
  const { hostname, port, protocol } = new URL(serverUrl);
  const { address, family } = await lookup(hostname.replaceAll(/[[\]]/gu, ''));
  const socket = dgram.createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('error', reject);
    socket.connect(port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), address, resolve);
    await promise;
    return socket.address().address;
  } finally {
    socket.close();
  }
}
