/** The server's settings, and what they are when nobody says. */
import { isIPv4 } from 'node:net';
import { join, resolve } from 'node:path';
import { durationSetting } from '../api/duration.ts';
import { oneOf, text, wholeNumber, type ValuesOf } from '../base/config.ts';
import { NO_DATA_DIR, defaultDataDir, type DataDirSources } from '../base/data-dir.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../base/log.ts';

/** ms; below this, one garbage collection or one lost packet would look like an outage. */
const SHORTEST_TIMEOUT_MS = 2000;
const MINUTE_MS = 60_000;
const LONGEST_TIMEOUT_MS = 24 * 3_600_000; // a silence of more than a day is no detection

/** The server's settings with their defaults on this machine. */
export function serverSettings(host: DataDirSources) {
  return {
    HOST: { read: address, default: '127.0.0.1', help: 'Address that the server listens on.' },
    PORT: { read: wholeNumber(0, 65_535), default: '8080', help: 'Port; 0 takes a free one and logs it.' },
    DATA_DIR: { read: folder, default: defaultDataDir(host), whenMissing: NO_DATA_DIR, help: 'Everything that the server keeps.' },
    DATABASE_URL: {
      read: text,
      default: undefined,
      help: 'sqlite:/path/to/cara.db, postgres://USER:PASSWORD@HOST/DATABASE (15 or newer), or memory: for nothing that lasts; without it, sqlite:DATA_DIR/cara.db.',
      isSecret: true,
    },
    SERVER_NAME: { read: text, default: undefined, help: 'What this server is called in caractrl get servers; without it, the host name.' },
    ADVERTISE_URL: {
      read: httpUrl,
      default: undefined,
      help: 'Where the other servers on the same PostgreSQL reach this one; without it, from HOST and PORT.',
    },
    SECRETS_KEY: {
      read: text,
      default: undefined,
      help: 'Keys that Secrets are encrypted under, 32 bytes in base64 each, the first for writing; without it they are in a file.',
      isSecret: true,
    },
    SECRETS_KEY_FILE: {
      read: folder,
      default: undefined,
      help: 'A file with these keys, one a line, that somebody else keeps; without it DATA_DIR/secret.key, made at the first start.',
    },
    NODE_HEARTBEAT_TIMEOUT: {
      read: durationSetting(SHORTEST_TIMEOUT_MS, LONGEST_TIMEOUT_MS),
      default: '90s',
      help: 'A node that is silent for longer is NotReady; agents beat every 30s by default.',
    },
    PROJECT_TERMINATION_TIMEOUT: {
      read: durationSetting(1000),
      default: '10m',
      help: 'A Terminating Project on a lost node is let go after it.',
    },
    BACKUP_INTERVAL: {
      read: durationSetting(MINUTE_MS),
      default: undefined,
      help: 'Write a backup this often, such as 24h; without it none is written.',
    },
    BACKUP_DIR: { read: folder, default: undefined, help: 'Where to; without it DATA_DIR/backups. Another disk is the better place.' },
    BACKUP_KEEP: {
      read: wholeNumber(1, 10_000),
      default: '7',
      help: 'How many of them stay; older ones are deleted once a newer one has been read back.',
    },
    AUTH: {
      read: oneOf(['auto', 'token', 'none']),
      default: 'auto',
      help: 'auto: credentials are asked for unless HOST is loopback; token: always; none: never, everyone who reaches HOST is an admin.',
    },
    NODE_APPROVAL: {
      read: oneOf(['none', 'required']),
      default: 'none',
      help: 'required: a machine with a join token waits until somebody says caractrl node approve NAME; none: the token lets it in.',
      shorthand: { flag: 'approve', value: 'required' },
    },
    ALLOWED_HOSTS: {
      read: hostList,
      default: undefined,
      help: 'Names and addresses beside its own that this server is called by, such as that of a proxy or a router: its certificate has them, and where no credentials are asked for, requests may.',
    },
    TLS: {
      read: oneOf(['auto', 'on', 'off']),
      default: 'auto',
      help: 'auto: off on loopback, on elsewhere; on: everywhere, with an authority of its own in DATA_DIR/tls; off: leave it to a proxy or an overlay.',
    },
    TLS_CERT: {
      read: folder,
      default: undefined,
      help: 'A file with a certificate of this server and those that lead to its authority, in PEM, instead of its own; read again when it changes.',
    },
    TLS_KEY: { read: folder, default: undefined, help: 'The file with its private key, in PEM.' },
    LOG_LEVEL: { read: oneOf(LOG_LEVELS), default: 'info', help: `One of ${LOG_LEVELS.join(', ')}.` },
    LOG_FORMAT: { read: oneOf(LOG_FORMATS), default: 'auto', help: 'json, pretty, or auto: pretty on a terminal.' },
  };
}

export type ServerSettings = ReturnType<typeof serverSettings>;
export type ServerConfig = ValuesOf<ServerSettings>;

/** Where the state is, when nobody says otherwise. */
export function databaseUrlOf(config: ServerConfig): string {
  return config.DATABASE_URL ?? `sqlite:${join(config.DATA_DIR, 'cara.db')}`;
}

/** Tells whether the state is on PostgreSQL, where several servers share it. */
export function isPostgresUrl(databaseUrl: string): boolean {
  return /^postgres(?:ql)?:/iu.test(databaseUrl);
}

/** Tells whether the state is in memory alone, and ends with the process. */
export function isMemoryUrl(databaseUrl: string): boolean {
  return /^(?:memory:|sqlite::memory:)/iu.test(databaseUrl);
}

/** Tells whether only this machine reaches `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function httpUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/u.test(url.protocol)) {
    throw new RangeError('a URL such as http://10.0.0.5:8080');
  }
  return url.origin;
}

function address(value: string): string {
  const host = value.replace(/^\[(.*)\]$/u, '$1'); // an IPv6 address as URLs have it
  if (!/^[A-Za-z0-9.:%_-]+$/u.test(host)) {
    throw new RangeError('an address or a host name, without port, such as 127.0.0.1');
  }
  return host;
}

function hostList(value: string): readonly string[] {
  const names = value.split(',').map((name) => name.trim().toLowerCase());
  if (!names.every((name) => /^[a-z0-9.:_-]+$/u.test(name))) {
    throw new RangeError('host names or addresses without ports, separated by commas, such as cara.example,192.168.1.5');
  }
  return names;
}

function folder(value: string): string {
  if (value.includes('\0')) {
    throw new RangeError('a folder');
  }
  return resolve(value);
}
