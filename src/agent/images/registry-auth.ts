/**
 * Which registry an image comes from, and which credentials of a Secret of type dockerconfigjson are for it: pure.
 * Registries are told apart by host and port alone, as Docker does.
 *
 * Source   https://github.com/distribution/reference (normalize.go); docker/cli cli/config/credentials
 */
import type { RegistryAuth } from '../docker/docker-types.ts';

const HUB = 'docker.io';
const HUB_NAMES: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

/** Host, with its port, of the registry; `docker.io` for a reference that names none. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost');
  return isHost ? toHost(first) : HUB;
}

/** The reference without tag and digest. */
export function repositoryOf(reference: string): string {
  const [named = ''] = reference.split('@');
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  return colon === -1 ? named : named.slice(0, colon);
}

/**
 * Finds the credentials for the registry of `reference`.
 * @param configs texts of docker's config.json; the first that has an entry for the registry counts
 * @returns undefined where none has
 */
export function findRegistryAuth(configs: readonly string[], reference: string): RegistryAuth | undefined {
  const registry = registryOf(reference);
  for (const config of configs) {
    for (const [key, entry] of Object.entries(readAuths(config))) {
      const auth = toHost(key) === registry ? toAuth(entry, registry) : undefined;
      if (auth !== undefined) {
        return auth;
      }
    }
  }
  return undefined;
}

interface Entry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
}

function readAuths(config: string): Readonly<Record<string, Entry>> {
  try {
    return (JSON.parse(config) as { auths?: Record<string, Entry> } | null)?.auths ?? {};
  } catch {
    return {}; // the server takes in none such; the parser's own words quote the text
  }
}

function toAuth({ auth, username, password, identitytoken }: Entry, serverAddress: string): RegistryAuth | undefined {
  const decoded = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString('utf8') : '';
  const colon = decoded.indexOf(':');
  const user = typeof username === 'string' && username !== '' ? username : decoded.slice(0, Math.max(0, colon));
  const word = typeof password === 'string' && password !== '' ? password : decoded.slice(colon + 1);
  if (typeof identitytoken === 'string' && identitytoken !== '') {
    return { username: user, password: '', serverAddress, identityToken: identitytoken };
  }
  return user === '' || word === '' ? undefined : { username: user, password: word, serverAddress };
}

/** `https://index.docker.io/v1/` -> `docker.io`: keys are hosts, or addresses as old versions of docker wrote them. */
function toHost(address: string): string {
  const host =
    address
      .replace(/^https?:\/\//u, '')
      .split('/')[0]
      ?.toLowerCase() ?? '';
  return HUB_NAMES.has(host) ? HUB : host;
}
