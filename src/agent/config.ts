/** The agent's settings, and what they are when nobody says. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { durationSetting } from '../api/duration.ts';
import { FINGERPRINT, parseFingerprint } from '../api/fingerprint.ts';
import { DNS_SUBDOMAIN, matches, toNodeName } from '../api/names.ts';
import { isQuantity, QUANTITY, quantityToMillis, quantityToUnits } from '../api/quantity.ts';
import { oneOf, text, trueOrFalse, wholeNumber, type ValuesOf } from '../base/config.ts';
import { NO_DATA_DIR, defaultDataDir } from '../base/data-dir.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../base/log.ts';
import type { Resources } from './host/capacity.ts';
import { TAILSCALE_SOCKET } from './host/overlay-network.ts';

/** What the defaults depend on. */
export interface HostFacts {
  readonly hostname: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
}

const THROUGHPUT_TESTS = ['daily', 'off'] as const;
const LONGEST_INTERVAL_MS = 3_600_000; // beyond an hour no timeout would make sense

/** The agent's settings with their defaults on this machine. */
export function agentSettings(host: HostFacts) {
  return {
    SERVER_URL: {
      read: httpUrls,
      default: 'http://127.0.0.1:8080',
      help: 'Where cara-server listens; several servers of one cluster apart by commas.',
    },
    CA_FINGERPRINT: {
      read: fingerprint,
      default: undefined,
      help: "SHA-256 of the authority that the server's certificate comes from, for a server with an authority of its own; needed once, then the authority is kept in DATA_DIR.",
    },
    NODE_NAME: { read: nodeName, default: toNodeName(host.hostname), help: 'Name under which this machine registers.' },
    JOIN_TOKEN: {
      read: joinToken,
      default: undefined,
      help: 'Lets this machine join a server that asks for credentials, once: caractrl token create --role node. Rather in the environment than as a flag, which others can read.',
      isSecret: true,
    },
    JOIN_TOKEN_FILE: { read: folderOrFile, default: undefined, help: 'A file with the join token, read when it is needed.' },
    HEARTBEAT_INTERVAL: {
      read: durationSetting(100, LONGEST_INTERVAL_MS),
      default: '30s',
      help: 'Time between heartbeats, each jittered by up to 10 %; the server waits for three of them by default.',
    },
    DOCKER_HOST: {
      read: text,
      default: 'unix:///var/run/docker.sock',
      help: 'The container engine, unix:///PATH or tcp://HOST:PORT; Docker Engine API 1.41 or newer.',
    },
    AGENT_HOST: {
      read: text,
      default: undefined,
      help: "Address that the agent's own HTTP server listens on; without it, that of the overlay network, else 127.0.0.1.",
    },
    AGENT_PORT: { read: wholeNumber(0, 65_535), default: '9090', help: 'Its port; 0 takes a free one and logs it.' },
    NODE_IP: {
      read: ipAddress,
      default: undefined,
      help: 'Address reported as status.network.ip; without it, that of the overlay network, else that of the route to the server.',
    },
    TAILSCALE_SOCKET: {
      read: folderOrFile,
      default: TAILSCALE_SOCKET,
      help: "Socket of Tailscale's daemon, asked for this machine's address, name and path in the overlay network; none there, no overlay.",
    },
    THROUGHPUT_TEST: {
      read: oneOf(THROUGHPUT_TESTS),
      default: 'daily',
      help: `When the line to the server is measured, 8 MiB and 5 s each way at most: one of ${THROUGHPUT_TESTS.join(', ')}.`,
    },
    SYSTEM_RESERVED: {
      read: resources,
      default: 'cpu=200m,memory=256Mi,disk=1Gi',
      help: 'Kept back for the system: capacity - reserved = allocatable; what is left out reserves nothing.',
    },
    ALLOWED_HOST_PATHS: {
      read: pathList,
      default: undefined,
      help: 'Folders below which HostPath volumes may lie, separated by commas; without it, none may.',
    },
    ALLOW_PRIVILEGED: {
      read: trueOrFalse,
      default: 'false',
      help: 'Whether services may be privileged, or have capabilities that come to the same; who may apply Projects then is root here.',
    },
    DATA_DIR: {
      read: folderOrFile,
      default: defaultDataDir(host),
      whenMissing: NO_DATA_DIR,
      help: 'Folder of the identity and the last assignments.',
    },
    LOG_LEVEL: { read: oneOf(LOG_LEVELS), default: 'info', help: `One of ${LOG_LEVELS.join(', ')}.` },
    LOG_FORMAT: { read: oneOf(LOG_FORMATS), default: 'auto', help: 'json or pretty; auto is pretty on a terminal.' },
  } as const;
}

type Values = ValuesOf<ReturnType<typeof agentSettings>>;
/** As read; intervals are milliseconds. CA_FINGERPRINT, AGENT_HOST, NODE_IP, the JOIN_TOKENs and ALLOWED_HOST_PATHS are undefined where nobody set them. */
export type AgentConfig = Omit<
  Values,
  'CA_FINGERPRINT' | 'AGENT_HOST' | 'NODE_IP' | 'JOIN_TOKEN' | 'JOIN_TOKEN_FILE' | 'ALLOWED_HOST_PATHS'
> & {
  readonly CA_FINGERPRINT: string | undefined;
  readonly AGENT_HOST: string | undefined;
  readonly NODE_IP: string | undefined;
  readonly JOIN_TOKEN: string | undefined;
  readonly JOIN_TOKEN_FILE: string | undefined;
  readonly ALLOWED_HOST_PATHS: readonly string[] | undefined;
};

function httpUrls(value: string): string {
  return value
    .split(',')
    .map((url) => httpUrl(url.trim()))
    .join(',');
}

function httpUrl(value: string): string {
  const url = URL.parse(value);
  const isPlain = url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (!isPlain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new RangeError('an http:// or https:// URL without a path, such as http://cara-server:8080');
  }
  return url.origin;
}

function joinToken(value: string): string {
  if (!/^cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}$/u.test(value.trim())) {
    throw new RangeError('a token as "caractrl token create --role node" prints it, cara_ID_SECRET');
  }
  return value.trim();
}

function fingerprint(value: string): string {
  const parsed = parseFingerprint(value);
  if (parsed === undefined) {
    throw new RangeError(FINGERPRINT.expects);
  }
  return parsed;
}

function nodeName(value: string): string {
  if (!matches(DNS_SUBDOMAIN, value)) {
    throw new RangeError(DNS_SUBDOMAIN.expects);
  }
  return value;
}

function ipAddress(value: string): string {
  if (isIP(value) === 0) {
    throw new RangeError('an IP address such as 100.64.0.5');
  }
  return value;
}

function folderOrFile(value: string): string {
  return resolve(value);
}

function pathList(value: string): readonly string[] {
  const paths = value.split(',').map((path) => path.trim());
  if (!paths.every((path) => path.startsWith('/'))) {
    throw new RangeError('absolute paths separated by commas, such as /srv/data,/mnt/media');
  }
  return paths.map((path) => resolve(path));
}

function resources(value: string): Resources {
  const pairs = value.split(',').map((part) => toPair(part.trim()));
  const amounts = new Map(pairs);
  if (amounts.size < pairs.length) {
    throw new RangeError('pairs such as cpu=200m,memory=256Mi,disk=1Gi, each of cpu, memory and disk once at most');
  }
  return {
    cpuMillis: quantityToMillis(amounts.get('cpu') ?? '0'),
    memoryBytes: quantityToUnits(amounts.get('memory') ?? '0'),
    diskBytes: quantityToUnits(amounts.get('disk') ?? '0'),
  };
}

function toPair(part: string): [string, string] {
  const [name = '', amount = '', ...rest] = part.split('=');
  if (!['cpu', 'memory', 'disk'].includes(name) || rest.length > 0) {
    throw new RangeError('pairs of cpu, memory and disk such as cpu=200m,memory=256Mi,disk=1Gi');
  }
  if (!isQuantity(amount)) {
    throw new RangeError(`pairs such as cpu=200m,memory=256Mi,disk=1Gi, where ${name} is ${QUANTITY.expects}`);
  }
  return [name, amount];
}
