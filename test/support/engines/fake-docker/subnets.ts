/** IPv4 blocks as Docker's default address pools hand them out. */

/** Tells whether two CIDR blocks share an address. */
export function overlaps(left: string, right: string): boolean {
  const [a, b] = [range(left), range(right)];
  return a.first <= b.last && b.first <= a.last;
}

/** The next free of Docker's default pools: 15 of /16, 16 of /20. @returns undefined when all are taken */
export function privateSubnet(taken: readonly string[]): string | undefined {
  const pools = [
    ...Array.from({ length: 15 }, (_, n) => `172.${17 + n}.0.0/16`),
    ...Array.from({ length: 16 }, (_, n) => `192.168.${16 * n}.0/20`),
  ];
  return pools.find((pool) => !taken.some((subnet) => overlaps(pool, subnet)));
}

function range(cidr: string): { readonly first: number; readonly last: number } {
  const [address = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}
