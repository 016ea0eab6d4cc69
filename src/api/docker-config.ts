/**
 * Credentials of registries as docker keeps them in its config.json: `{"auths": {"registry.example": {"auth": "base64 of user:password"}}}`.
 * Pure; no message holds a value.
 *
 * Source   https://docs.docker.com/reference/cli/docker/login/
 */

/** The one key of a Secret of type dockerconfigjson; Kubernetes' name for it. */
import { isRecord } from './is-record.ts';
export const DOCKER_CONFIG_KEY = '.dockerconfigjson';

/** What is wrong with the text of such a file, as the end of a sentence that begins with its name; undefined: nothing. */
export function checkDockerConfig(text: string): string | undefined {
  const config = parse(text);
  if (!isRecord(config)) {
    return 'must be JSON as docker writes it: {"auths": {"registry.example": {"auth": "…"}}}';
  }
  const auths = config['auths'];
  if (!isRecord(auths) || Object.keys(auths).length === 0) {
    return 'must have a map auths with a registry in it: {"auths": {"registry.example": {"auth": "…"}}}';
  }
  for (const [registry, entry] of Object.entries(auths)) {
    const why = isRecord(entry) ? checkEntry(entry) : 'must be a map with auth, or with username and password';
    if (why !== undefined) {
      return `auths of ${JSON.stringify(registry.slice(0, 253))} ${why}`;
    }
  }
  return undefined;
}

function checkEntry(entry: Readonly<Record<string, unknown>>): string | undefined {
  const { auth, username, password, identitytoken } = entry as Readonly<
    Record<'auth' | 'username' | 'password' | 'identitytoken', unknown>
  >;
  if (isFilled(identitytoken) || (isFilled(username) && isFilled(password))) {
    return undefined;
  }
  if (auth === undefined) {
    return 'has no credentials (docker may keep them in a store of its own): it must have auth, or username and password';
  }
  return typeof auth === 'string' && isUserAndPassword(auth) ? undefined : 'must have an auth that is the base64 of user:password';
}

function isUserAndPassword(base64: string): boolean {
  try {
    return atob(base64).indexOf(':') > 0;
  } catch {
    return false;
  }
}

function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the parser's own words quote the text
  }
}
