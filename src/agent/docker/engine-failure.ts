/**
 * Makes an EngineError of what the engine, or the way to it, said.
 *
 * The engine gives most failures no code but a status and a sentence. `reasonOfWords` is the one place where a sentence
 * is looked into; each call names the few reasons that its words may mean, so that a name in a message cannot mislead.
 */
import type { EngineAddress } from './docker-host.ts';
import { EngineError, type EngineReason } from './engine-error.ts';

const MAX_WORDS = 2000; // of the engine's sentence; a runtime's error can hold a whole mount table
const WHOLE_ID = /(?<!sha256:)\b[0-9a-f]{64}\b/gu; // of a container, network or endpoint; people know the first twelve

/** How a call's failures are to be understood. */
export interface FailureMeaning {
  /** Completes "Cannot ...". */
  readonly action: string;
  /** HTTP status -> reason, where it means something else than usual. */
  readonly byStatus?: Readonly<Record<number, EngineReason>>;
  /** Reasons that the engine's words may give. */
  readonly byWords?: readonly EngineReason[];
  /** What all else means. */
  readonly otherwise?: EngineReason;
}

const WORDS = [
  // libnetwork portallocator; the userland proxy's bind(2)
  { reason: 'PortInUse', pattern: /port is already allocated|address already in use/iu },
  // containerd's folder of a task, which it does not clear away after some of its crashes
  { reason: 'TaskLeftOver', pattern: /shim.*mkdir .*: file exists/iu },
  { reason: 'NoSpace', pattern: /no space left on device|disk quota exceeded/iu },
  // libnetwork ipam and bridge driver
  { reason: 'SubnetTaken', pattern: /pool overlaps with other one|non-overlapping IPv4|overlapping IPv4|fully subnetted/iu },
  // distribution: a rate limit also says "denied", and a missing repository "access denied", so this order matters
  { reason: 'TooManyRequests', pattern: /toomanyrequests|too many requests|rate limit/iu },
  // a bare "denied" is what is left of DENIED with its usual words; "permission denied" is the engine's own file system
  {
    reason: 'PullDenied',
    pattern:
      /access denied|unauthorized|authentication required|no basic auth credentials|\bdenied:|(?:^|: )denied$|HTTP 403|403 Forbidden/iu,
  },
  {
    reason: 'ImageNotFound',
    pattern: /manifest unknown|manifest for .+ not found|no matching manifest|name unknown|repository .+ not found/iu,
  },
  // what the runtime says of the program, the mounts or the options that it was given; of its own troubles it says other things
  {
    reason: 'Invalid',
    pattern: /OCI runtime (?:create|start) failed|starting container process caused|unable to start container process/iu,
  },
  // an archive that does not fit into the container
  { reason: 'Invalid', pattern: /cannot overwrite|not a directory|is a directory|read-only/iu },
] as const satisfies readonly { reason: EngineReason; pattern: RegExp }[];

/** The first of `candidates` that the engine's sentence stands for. */
export function reasonOfWords(words: string, candidates: readonly EngineReason[]): EngineReason | undefined {
  return WORDS.find(({ reason, pattern }) => candidates.includes(reason) && pattern.test(words))?.reason;
}

function reasonOfStatus(status: number): EngineReason {
  switch (status) {
    case 400:
      return 'Invalid';
    case 401:
      return 'PullDenied';
    case 403: // "network ... has active endpoints"
    case 409:
      return 'Conflict';
    case 404:
      return 'NotFound';
    case 429:
      return 'TooManyRequests';
    default:
      return 'EngineFault';
  }
}

/** Makes an EngineError of an answer of 4xx or 5xx. */
export function toEngineFailure(status: number, words: string, meaning: FailureMeaning): EngineError {
  const byStatus = meaning.byStatus?.[status] ?? reasonOfStatus(status);
  const fallback = byStatus === 'EngineFault' ? (meaning.otherwise ?? byStatus) : byStatus;
  const reason = reasonOfWords(words, meaning.byWords ?? []) ?? fallback;
  const said = tidy(words);
  const message = `Cannot ${meaning.action}: ${said === '' ? `the engine answered HTTP ${status}` : said}`;
  return new EngineError(
    reason,
    message.replaceAll(WHOLE_ID, (id) => id.slice(0, 12)),
    { retryAfterMs: reason === 'TooManyRequests' ? findRetryAfterMs(words) : undefined },
  );
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The engine hands on no header of a registry's; some say it in words too: `retry-after: 1.5s, allowed: 44000/minute`. */
function findRetryAfterMs(words: string): number | undefined {
  const [, figures, unit = 's'] = /retry[- ]after:? *(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)?\b/iu.exec(words) ?? [];
  return figures === undefined ? undefined : Number(figures) * (UNIT_MS[unit] ?? 1000);
}

/** Makes an EngineError of a connection that could not be made or broke. */
export function toConnectionFailure(cause: unknown, address: EngineAddress, action: string): EngineError {
  const code = codeOf(cause);
  const where = `Cannot reach the container engine at ${address.text}`;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return unreachable(`${where} as there is no such socket: is Docker running? Start it, or set DOCKER_HOST to where it listens`, cause);
    case 'ECONNREFUSED':
      return unreachable(`${where} as nothing listens there: is Docker running? Start it, or set DOCKER_HOST to where it listens`, cause);
    case 'EACCES':
    case 'EPERM':
      return unreachable(
        `${where} as this user may not use the socket: add the user to the socket's group (mostly "docker") and log in again, or run as root`,
        cause,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return unreachable(`${where} as its host name cannot be resolved: set DOCKER_HOST to an address that can`, cause);
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return unreachable(`Cannot ${action} as the container engine at ${address.text} closed the connection`, cause);
    default:
      if (code.startsWith('HPE_')) {
        return new EngineError(
          'EngineFault',
          `Cannot ${action} as what listens at ${address.text} does not speak HTTP: ${tidy(textOf(cause))}`,
          { cause },
        );
      }
      return unreachable(`${where}: ${tidy(textOf(cause))}`, cause);
  }
}

function unreachable(message: string, cause: unknown): EngineError {
  return new EngineError('EngineUnreachable', message, { cause });
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** One line of bounded length, without a final period. */
function tidy(words: string): string {
  const line = words.replaceAll(/\s+/gu, ' ').trim().replace(/\.$/u, '');
  return line.length > MAX_WORDS ? `${line.slice(0, MAX_WORDS)}…` : line;
}
