/**
 * Whether the server may show an agent's credential to an address without TLS. Pure.
 *
 * Agents' own ports speak plain HTTP. Only a server that speaks it too, to other machines, has been told that the network is to be trusted
 * (TLS=off). Any other, also one behind a proxy, dials agents only where nobody is in between: on this machine, or in an overlay network,
 * which encrypts. All others are reached through their tunnels.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Of Tailscale and its kin, which take these for every network. Source: Tailscale, "IP pool"; its ULA prefix fd7a:115c:a1e0::/48 */
const OVERLAY = new BlockList();
OVERLAY.addSubnet('100.64.0.0', 10, 'ipv4');
OVERLAY.addSubnet('fd7a:115c:a1e0::', 48, 'ipv6');
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

export interface ClearPathFacts {
  /** whether the server itself speaks plain HTTP to other machines */
  readonly isNetworkTrusted: boolean;
  readonly ownAddresses: readonly string[];
}

/** `ownAddresses`: of this machine; an address of the overlay is one only where this machine is in it; else it is a provider's NAT */
export function mayDialInClear(host: string, { isNetworkTrusted, ownAddresses }: ClearPathFacts): boolean {
  return isNetworkTrusted || isIn(LOOPBACK, host) || (isIn(OVERLAY, host) && ownAddresses.some((address) => isIn(OVERLAY, address)));
}

function isIn(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
