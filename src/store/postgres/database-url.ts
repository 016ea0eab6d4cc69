/**
 * PostgreSQL URLs: what DATABASE_URL says, checked whole before anything is tried.
 *
 * `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE`; several hosts apart by commas, of which the one that takes writes is used;
 * `?host=/run/postgresql` for a socket.
 *
 * Never    puts a password into a message.
 * Source   libpq's connection URIs (PostgreSQL documentation, 34.1.1.2) and its sslmode (34.19)
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { ConfigError } from '../../base/config.ts';

export interface DatabaseAddress {
  /** a host name, an IP address, or the folder of a socket */
  readonly host: string;
  readonly port: number;
}

export interface DatabaseTarget {
  /** in the order in which they are tried */
  readonly addresses: readonly DatabaseAddress[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** `whenOffered`: plain where the server has no TLS */
  readonly tls: 'none' | { readonly options: ConnectionOptions; readonly isRequired: boolean };
  /** for messages: user, hosts and database */
  readonly label: string;
}

/** What of libpq's parameters we know. */
const PARAMETERS = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'application_name',
] as const;
const IGNORED: ReadonlySet<string> = new Set(['application_name', 'target_session_attrs', 'connect_timeout']);
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof SSL_MODES)[number];

const FORM = 'postgres://USER:PASSWORD@HOST:5432/DATABASE';
const SHAPE =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^/?#@]*)(?:\/(?<database>[^/?#]*))?(?:\?(?<query>[^#]*))?$/iu;

/** @throws {ConfigError} naming what is wrong */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const groups = SHAPE.exec(url)?.groups;
  if (groups === undefined) {
    throw refused(`it must look like ${FORM}; characters such as @ / : ? # in a password are written %40 %2F %3A %3F %23`);
  }
  const parameters = readParameters(groups['query'] ?? '');
  const user = unescape('user', groups['user']) ?? parameters.get('user');
  if (user === undefined || user === '') {
    throw refused(`it names no user: write ${FORM}`);
  }
  const database = unescape('database', groups['database']) ?? parameters.get('dbname') ?? user;
  const addresses = readAddresses(groups['hosts'] ?? '', parameters);
  return {
    addresses,
    user,
    password: unescape('password', groups['password']) ?? parameters.get('password'),
    database,
    tls: readTls(parameters, addresses),
    label: `${user}@${addresses.map(showAddress).join(',')}/${database}`,
  };
}

function refused(why: string): ConfigError {
  return new ConfigError(`Cannot use DATABASE_URL as ${why}`);
}

function showAddress({ host, port }: DatabaseAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @returns undefined for what is missing or empty */
function unescape(part: string, text: string | undefined): string | undefined {
  if (text === undefined || text === '') {
    return undefined;
  }
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused(`the percent-encoding of its ${part} is broken: a % itself is written %25`);
  }
}

function readParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map(new URLSearchParams(query));
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name as (typeof PARAMETERS)[number]) && !IGNORED.has(name)) {
      throw refused(`its parameter ${JSON.stringify(name)} is unknown: known are ${PARAMETERS.join(', ')}`);
    }
  }
  return parameters;
}

function readAddresses(hosts: string, parameters: ReadonlyMap<string, string>): readonly DatabaseAddress[] {
  const port = readPort(parameters.get('port') ?? '5432');
  const names = hosts === '' ? (parameters.get('host') ?? 'localhost') : hosts;
  return names.split(',').map((text) => {
    if (text.startsWith('/') || /^%2f/iu.test(text)) {
      return { host: unescape('host', text) ?? text, port };
    }
    const { host, bare, own } = /^(?:\[(?<host>[0-9A-Fa-f:.]+)\]|(?<bare>[^:[\]\s]+))(?::(?<own>\d*))?$/u.exec(text)?.groups ?? {};
    const name = host ?? bare;
    if (name === undefined) {
      throw refused(`its host must be a name or an address, with or without a port: current value is ${JSON.stringify(text)}`);
    }
    return { host: unescape('host', name) ?? name, port: own === undefined || own === '' ? port : readPort(own) };
  });
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/u.test(text) || port < 1 || port > 65_535) {
    throw refused(`its port must be from 1 to 65535: current value is ${JSON.stringify(text)}`);
  }
  return port;
}

function readTls(parameters: ReadonlyMap<string, string>, addresses: readonly DatabaseAddress[]): DatabaseTarget['tls'] {
  const mode = (parameters.get('sslmode') ?? 'prefer') as SslMode;
  if (!SSL_MODES.includes(mode)) {
    throw refused(`its sslmode must be one of ${SSL_MODES.join(', ')}: current value is ${JSON.stringify(mode)}`);
  }
  if (mode === 'disable' || mode === 'allow' || addresses.every(({ host }) => host.startsWith('/'))) {
    return 'none';
  }
  const root = parameters.get('sslrootcert');
  const isVerified = mode.startsWith('verify-') || (mode === 'require' && root !== undefined); // libpq does so too
  const options: ConnectionOptions = {
    rejectUnauthorized: isVerified,
    ...(root !== undefined && root !== 'system' && { ca: readPem('sslrootcert', root) }),
    ...(parameters.has('sslcert') && { cert: readPem('sslcert', parameters.get('sslcert') ?? '') }),
    ...(parameters.has('sslkey') && { key: readPem('sslkey', parameters.get('sslkey') ?? '') }),
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  };
  return { options, isRequired: mode !== 'prefer' };
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`Cannot use DATABASE_URL as the file of its ${name} cannot be read: ${why}`, { cause: error });
  }
}
