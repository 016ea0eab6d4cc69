/**
 * Subnet pool: gives each Project network a /26 that nothing else on the machine uses: pure.
 *
 * The engine's own default pools end after some 30 networks, and it looks at no route but its own. A /26 has room for 61
 * containers; a service has one, and a Project at most 128 services: one larger than that is refused by its engine, not by us.
 */

const BLOCK_BITS = 26;

/**
 * Tried in order. 10.210.0.0/16 lies apart from what is common on such machines: Docker (172.17.0.0/12, 192.168.0.0/16),
 * Kubernetes (10.42-10.44, 10.96, 10.244), home networks (10.0, 192.168) and VPNs (10.8). It has 1,024 blocks. The second is
 * for machines where a VPN routes all of 10.0.0.0/8.
 */
export const DEFAULT_NETWORK_POOLS: readonly string[] = ['10.210.0.0/16', '172.30.0.0/16'];

/** Shared address space (RFC 6598), which overlay networks such as Tailscale hand out: a host may join one at any time. */
export const RESERVED_SUBNETS: readonly string[] = ['100.64.0.0/10'];

/** First and last address, as numbers. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** Reads an IPv4 CIDR block. @returns undefined when it is none (an IPv6 block, say) */
export function parseCidr(cidr: string): AddressRange | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/u.exec(cidr);
  const [a = 0, b = 0, c = 0, d = 0, bits = 0] = match?.slice(1).map(Number) ?? [];
  if (match === null || Math.max(a, b, c, d) > 255 || bits > 32) {
    return undefined;
  }
  const size = 2 ** (32 - bits);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1 };
}

/**
 * Finds the first free block.
 * @param taken CIDR blocks in use; a default route (`0.0.0.0/0`) takes nothing
 * @returns undefined when the pools are used up
 */
export function findFreeSubnet(pools: readonly string[], taken: readonly string[]): string | undefined {
  const used = [...taken, ...RESERVED_SUBNETS]
    .filter((cidr) => !cidr.endsWith('/0'))
    .flatMap((cidr) => parseCidr(cidr) ?? [])
    .toSorted((left, right) => left.first - right.first);
  const size = 2 ** (32 - BLOCK_BITS);
  for (const pool of pools.flatMap((cidr) => parseCidr(cidr) ?? [])) {
    let first = pool.first;
    for (const range of used) {
      if (range.last >= first && range.first <= first + size - 1) {
        first = Math.ceil((range.last + 1) / size) * size; // on to the next block behind it
      }
    }
    if (first + size - 1 <= pool.last) {
      return `${formatAddress(first)}/${BLOCK_BITS}`;
    }
  }
  return undefined;
}

/** 10.210.0.62 for its number. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
