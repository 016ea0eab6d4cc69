/** Under which names and addresses a server is called, as its certificate has them. */
import { isIP, isIPv6 } from 'node:net';
import { hostname, networkInterfaces, type NetworkInterfaceInfo } from 'node:os';

export interface NameSettings {
  readonly HOST: string;
  readonly ADVERTISE_URL: string | undefined;
  readonly ALLOWED_HOSTS: readonly string[] | undefined;
}

/** What the machine says of itself. */
export interface MachineNames {
  readonly hostname: string;
  readonly interfaces: Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'internal'>[] | undefined>>;
}

/** Of containers and machines inside of this one: nobody outside calls the server by these, and they come and go. */
const INSIDE = /^(?:docker|br-|veth|virbr|cni|flannel|podman|lxcbr|lxdbr)/u;
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const MAX_NAMES = 100;

/** Sorted, without doubles; names in lower case. Pure. */
export function listNames({ HOST, ADVERTISE_URL, ALLOWED_HOSTS = [] }: NameSettings, machine: MachineNames): readonly string[] {
  const isWildcard = HOST === '0.0.0.0' || HOST === '::';
  const addresses = Object.entries(machine.interfaces)
    .filter(([name]) => !INSIDE.test(name))
    .flatMap(([, found]) => found ?? [])
    .filter(({ address, internal }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
  const advertised = ADVERTISE_URL === undefined ? [] : [new URL(ADVERTISE_URL).hostname.replace(/^\[(.*)\]$/u, '$1')];
  const names = [...(isWildcard ? [] : [HOST]), ...advertised, ...ALLOWED_HOSTS, machine.hostname, ...LOOPBACK, ...addresses]
    .map((name) => name.toLowerCase().replace(/\.$/u, '').replace(/%.*$/u, ''))
    .filter(isName);
  return [...new Set(names)].slice(0, MAX_NAMES).toSorted();
}

/** Whether a certificate for `has` is one for all of `wanted`. */
export function covers(has: readonly string[], wanted: readonly string[]): boolean {
  const known = new Set(has.map(canonical));
  return wanted.every((name) => known.has(canonical(name)));
}

/** Those of a certificate, from `subjectAltName` as node:crypto writes it. */
export function readNames(subjectAltName: string | undefined): readonly string[] {
  return (subjectAltName ?? '').split(', ').flatMap((entry) => canonical(/^(?:DNS|IP Address):(.+)$/u.exec(entry)?.[1] ?? '') || []);
}

export function readMachineNames(): MachineNames {
  return { hostname: hostname(), interfaces: networkInterfaces() };
}

function isName(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && /^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?$/u.test(name));
}

/** IPv6 addresses have many spellings. */
function canonical(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name}]/`).hostname.slice(1, -1) : name.toLowerCase();
}
