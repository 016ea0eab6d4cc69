/** The machine's IPv4 routes, which the networks of Projects must keep clear of. */
import { readFile } from 'node:fs/promises';

/** @returns CIDR blocks; none where the system has no such table (not Linux) */
export async function readHostRoutes(): Promise<readonly string[]> {
  const text = await readFile('/proc/net/route', 'utf8').catch(() => '');
  return parseRouteTable(text);
}

/** Reads the form of /proc/net/route (proc(5)): addresses are hexadecimal in the machine's byte order, little-endian. */
export function parseRouteTable(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination = '', , , , , , mask = ''] = line.trim().split(/\s+/u);
      if (!/^[0-9A-F]{8}$/iu.test(destination) || !/^[0-9A-F]{8}$/iu.test(mask)) {
        return [];
      }
      const bits = Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length; // ones, in whatever byte order
      const address = destination
        .match(/../gu)
        ?.toReversed()
        .map((byte) => Number.parseInt(byte, 16));
      return [`${address?.join('.')}/${bits}`];
    });
}
