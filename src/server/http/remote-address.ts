/** Where a request comes from. */
import type { FastifyRequest } from 'fastify';

/** The remote IP address; an IPv4 one as such, also where the server listens on IPv6. */
export function addressOf({ socket }: Pick<FastifyRequest, 'socket'>): string | undefined {
  return socket.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/u, '');
}
