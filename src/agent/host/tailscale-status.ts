/**
 * What Tailscale's daemon says of this machine, as far as a Node shows it. Pure.
 *
 * Source   ipn/ipnstate/ipnstate.go (Status, PeerStatus) and `populatePeerStatus` in wgengine/magicsock/endpoint.go of tailscale/tailscale.
 *          The format is not promised: only what is read here is looked at, and what is missing is left out. Headscale has the same daemon.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { isRecord } from '../../api/is-record.ts';
import type { NetworkStatus } from '../../api/node.ts';

/** Go writes null for an empty list or map, and leaves out what an older daemon does not know. */
type Maybe<T> = { readonly [Key in keyof T]?: T[Key] | null };

type Peer = Maybe<{
  DNSName: string;
  TailscaleIPs: readonly string[];
  /** address that packets to the peer go to; empty while they are relayed, or while there are none */
  CurAddr: string;
  /** something was sent to the peer within the last 45 s */
  Active: boolean;
}>;

export type TailscaleStatus = { readonly BackendState: string } & Maybe<{
  TUN: boolean;
  Self: Peer;
  CurrentTailnet: Maybe<{ MagicDNSEnabled: boolean }>;
  /** each is looked at by itself: one peer that is written in another way must not hide the rest */
  Peer: Readonly<Record<string, unknown>>;
}>;

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isFlag: Check = (value) => typeof value === 'boolean';
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
const isForm =
  (form: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isRecord(value) && Object.entries(form).every(([key, check]) => check(value[key]));

// by hand: TypeBox would cost the agent 20 MB of memory
const isPeer = isForm({ DNSName: maybe(isText), TailscaleIPs: maybe(isTexts), CurAddr: maybe(isText), Active: maybe(isFlag) });
const isStatus = isForm({
  BackendState: isText,
  TUN: maybe(isFlag),
  Self: maybe(isPeer),
  CurrentTailnet: maybe(isForm({ MagicDNSEnabled: maybe(isFlag) })),
  Peer: maybe(isRecord),
});

/** Where the server is, seen from here. */
export interface ServerPlace {
  /** of the server's URL, lower case, without brackets */
  readonly hostname: string;
  /** what the name resolves to; undefined when it could not be resolved */
  readonly addresses: readonly string[] | undefined;
}

export interface OverlayNetworkFacts {
  readonly network: Pick<NetworkStatus, 'dnsName' | 'mode'> & { readonly ip: string };
  /** False in userspace networking: no interface has the address, so nothing can listen on it; what arrives there goes to 127.0.0.1. */
  readonly hasInterface: boolean;
}

/** @throws when it is no status at all */
export function decodeTailscaleStatus(input: unknown): TailscaleStatus {
  if (!isStatus(input)) {
    throw new Error(`Cannot read the status of Tailscale's daemon as it has another form: ${JSON.stringify(input).slice(0, 100)}`);
  }
  return input as TailscaleStatus;
}

/** What a Node shows of the overlay network; undefined while this machine is not in it. */
export function deriveOverlay(status: TailscaleStatus, server: ServerPlace): OverlayNetworkFacts | undefined {
  const ip = status.BackendState === 'Running' ? chooseAddress(status.Self?.TailscaleIPs ?? []) : undefined;
  if (ip === undefined) {
    return undefined;
  }
  // a name that nobody can look up would mislead
  const dnsName = status.CurrentTailnet?.MagicDNSEnabled === false ? '' : withoutDot(status.Self?.DNSName ?? '');
  const mode = deriveMode(findServer(status, server));
  return {
    network: { ip, ...(dnsName !== '' && dnsName.length <= MAX_DNS_NAME && { dnsName }), ...(mode !== undefined && { mode }) },
    hasInterface: status.TUN !== false,
  };
}

const MAX_DNS_NAME = 253;
const CARRIER_GRADE_NAT = new BlockList(); // RFC 6598: what Tailscale and Headscale give out
CARRIER_GRADE_NAT.addSubnet('100.64.0.0', 10);

/** An address of 100.64.0.0/10, else another IPv4 (Headscale can be told other prefixes), else IPv6. */
function chooseAddress(addresses: readonly string[]): string | undefined {
  const legal = addresses.filter((address) => isIP(address) !== 0);
  return (
    legal.find((address) => isIPv4(address) && CARRIER_GRADE_NAT.check(address)) ?? legal.find((address) => isIPv4(address)) ?? legal[0]
  );
}

/**
 * The peer that is the server. What its name resolves to decides, as the packets go there: a peer may well be called as a machine of
 * the LAN is, and HostName is what a machine calls itself ("localhost" on every phone). Only where the name cannot be resolved, a peer's
 * MagicDNS name stands in. A server behind a subnet router, on the LAN or on this machine is no peer.
 */
function findServer({ Peer: peers }: TailscaleStatus, { hostname, addresses }: ServerPlace): Peer | undefined {
  return Object.values(peers ?? {})
    .filter((candidate): candidate is Peer => isPeer(candidate))
    .find(({ TailscaleIPs, DNSName }) => {
      if (addresses !== undefined) {
        return addresses.some((address) => TailscaleIPs?.includes(address));
      }
      const name = withoutDot(DNSName ?? '').toLowerCase();
      return name !== '' && (name === hostname || name.split('.', 1)[0] === hostname);
    });
}

/**
 * Direct where there is a peer-to-peer path, else DERP: through a relay, be it a DERP server or another peer. Undefined where the
 * server is no peer, as then no path of the overlay leads to it, and while nothing has been sent to it for so long that the daemon
 * holds no path at all: it finds one with the first packets, and would be called relayed until then.
 */
function deriveMode(server: Peer | undefined): NetworkStatus['mode'] {
  if (server === undefined) {
    return undefined;
  }
  if (typeof server.CurAddr === 'string' && server.CurAddr !== '') {
    return 'Direct';
  }
  return server.Active === false ? undefined : 'DERP';
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
