/** Fields of a service that Compose users know: how its container runs, beside what runs in it. In Compose's words where it has one. */
import Type, { type Static } from 'typebox';
import { CAPABILITY } from './capabilities.ts';
import { Closed, MapOf, Text } from '../meta.ts';
import { ABSOLUTE_PATH, DNS_LABEL, DNS_SUBDOMAIN, type Grammar } from '../names.ts';
import { Quantity } from '../node.ts';

const HOST_NAME = {
  pattern: DNS_SUBDOMAIN.pattern,
  expects: 'a host name: lower-case letters, digits, "-" and ".", at most 63 characters (for example web or web.shop.example)',
  maxLength: 63, // the kernel's is 64
} as const satisfies Grammar;

const USER = {
  pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$',
  expects: 'a user, or user:group, by name or in numbers; in quotes, as "1000" or "1000:1000"',
  maxLength: 255,
} as const satisfies Grammar;

const EXTRA_HOST = {
  pattern: '^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?:[0-9A-Za-z.:-]+$',
  expects: 'NAME:ADDRESS, such as printer:192.168.1.20 or host.docker.internal:host-gateway',
  maxLength: 320,
} as const satisfies Grammar;

const STOP_SIGNAL = {
  pattern: '^SIG(HUP|INT|QUIT|ABRT|ALRM|KILL|USR1|USR2|TERM|WINCH|PWR|IO|RTMIN(\\+[0-9]{1,2})?|RTMAX(-[0-9]{1,2})?)$',
  expects: 'the name of a signal that a program can end on, such as SIGTERM, SIGINT, SIGQUIT or SIGRTMIN+3',
} as const satisfies Grammar;

// runc refuses any other, as it would be set for the whole host
const SYSCTL = {
  pattern: '^(kernel\\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|(net|fs\\.mqueue)\\.[A-Za-z0-9_./-]{1,200})$',
  expects: 'one that a container has for itself: net.*, fs.mqueue.*, kernel.sem, kernel.msg* or kernel.shm*; others are set on the node',
} as const satisfies Grammar;

const CONTAINER_LABEL = {
  pattern: '^[A-Za-z0-9][^\\s\\u0000-\\u001f=]{0,254}$',
  expects: 'a label of a container: up to 255 characters without blanks or "=", starting with a letter or digit',
} as const satisfies Grammar;

const ULIMIT = {
  pattern: '^(core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack)$',
  expects: 'one of core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack',
} as const satisfies Grammar;

const Capabilities = Type.Array(Text(CAPABILITY), { maxItems: 64 });
const Limit = Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER, expects: 'a whole number, or -1 for no limit' });

/** Memory that is a folder: gone with the container. */
export const Tmpfs = Closed({
  mountPath: Text(ABSOLUTE_PATH),
  size: Type.Optional(Quantity),
  mode: Type.Optional(
    Type.String({
      pattern: '^[01]?[0-7]{3}$',
      expects: 'the mode of a folder in quotes, such as "1777"',
      description: 'Default 1777; a folder that the image has keeps its own (seen with runc 1.1)',
    }),
  ),
});
export type Tmpfs = Readonly<Static<typeof Tmpfs>>;

export const Logging = Closed(
  {
    maxSize: Type.Optional(Quantity),
    maxFiles: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  'When the log on the node is rotated, and how many files are kept; default 10M and 3',
);

export const SERVICE_OPTIONS = {
  workingDir: Type.Optional(Text(ABSOLUTE_PATH)),
  user: Type.Optional(Text(USER)),
  hostname: Type.Optional(Text(HOST_NAME, 'What the container calls itself; others reach it by name and aliases')),
  aliases: Type.Optional(
    Type.Array(Text(DNS_LABEL), {
      maxItems: 64,
      description: 'More names under which the other services reach it; services may share one',
    }),
  ),
  extraHosts: Type.Optional(Type.Array(Text(EXTRA_HOST), { maxItems: 256, description: 'Lines of /etc/hosts' })),
  capAdd: Type.Optional(Capabilities),
  capDrop: Type.Optional(Capabilities),
  privileged: Type.Optional(
    Type.Boolean({
      description: "Refused on nodes whose agent does not have ALLOW_PRIVILEGED=true; so are capAdd's that come to the same",
    }),
  ),
  readOnly: Type.Optional(Type.Boolean({ description: 'The root file system; volumes and tmpfs stay writable' })),
  tmpfs: Type.Optional(Type.Array(Tmpfs, { maxItems: 64 })),
  shmSize: Type.Optional(Quantity),
  ulimits: Type.Optional(
    MapOf(
      ULIMIT,
      Type.Union([Limit, Closed({ soft: Limit, hard: Limit })], { expects: 'a whole number, or {soft: 1024, hard: 4096}; -1 is no limit' }),
    ),
  ),
  sysctls: Type.Optional(
    MapOf(
      SYSCTL,
      Type.Union([Type.String({ maxLength: 1024 }), Type.Integer()], { expects: 'a whole number, or text such as "1024 65000"' }),
    ),
  ),
  init: Type.Optional(Type.Boolean({ description: 'A small init as process 1, which reaps orphans and passes signals on' })),
  tty: Type.Optional(Type.Boolean({ description: 'A terminal; stderr then comes out as stdout' })),
  stopSignal: Type.Optional(Text(STOP_SIGNAL, "Default: the image's, else SIGTERM")),
  logging: Type.Optional(Logging),
  labels: Type.Optional(
    MapOf(
      CONTAINER_LABEL,
      Type.String({ maxLength: 32_768, expects: 'text (quote numbers and booleans: "true")' }),
      'Of the container, for programs that read them there',
    ),
  ),
};
