/** Where a request comes from. */
import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';

const FORWARDED = Symbol('address that another server forwards for');

type Forwarded = IncomingMessage & { [FORWARDED]?: string };

/** The remote IP address; an IPv4 one as such, also where the server listens on IPv6. Of a forwarded request: the one that it came from. */
export function addressOf({ socket, raw }: Pick<FastifyRequest, 'socket'> & { readonly raw?: IncomingMessage }): string | undefined {
  return (raw as Forwarded | undefined)?.[FORWARDED] ?? socket.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/u, '');
}

/** Notes what a server of ours says of a request that it forwards. */
export function setForwardedAddress(request: IncomingMessage, address: string): void {
  (request as Forwarded)[FORWARDED] = address;
}
