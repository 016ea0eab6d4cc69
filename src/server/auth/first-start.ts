/**
 * First start: while there is nobody who could let anybody in, an admin's token is made and shown, once, with what to type on a laptop and
 * on a worker.
 *
 * Owns     the marker in the store that says it was done: a fleet whose last admin token was revoked does not get another by itself.
 * Callers  main.ts, once it listens.
 */
import { hasReason } from '../../api/errors.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Store, StoredObject } from '../../store/store.ts';
import { describeJoin } from '../../api/join-command.ts';
import { newMeta } from '../objects/record.ts';
import { newStored } from './stored-credentials.ts';
import type { TokenService } from './token-service.ts';

const KIND = 'FirstStart';
const NAME = 'credentials';
const FIRST_MACHINES = 10;
const WAITING = `
It then waits until you let it in, on your laptop (caractrl node joined lists who waits):
  caractrl node approve NAME
`;

export interface FirstStartDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly tokens: TokenService;
  /** where others reach the server */
  readonly url: string;
  /** of the authority that its certificate comes from; undefined: everybody knows it, or there is no TLS */
  readonly caFingerprint: string | undefined;
  /** whether who joins has to wait for a person */
  readonly needsApproval: boolean;
}

/** @returns what to show; undefined when it was shown before */
export async function greet({
  store,
  clock,
  random,
  tokens,
  url,
  caFingerprint,
  needsApproval,
}: FirstStartDeps): Promise<string | undefined> {
  if ((await store.get(KIND, NAME)) !== undefined) {
    return undefined;
  }
  try {
    const marker = newStored<StoredObject>(KIND, newMeta(NAME, random.uuid(), nowRfc3339(clock)), {});
    await store.commit([{ op: 'create', object: marker }]);
  } catch (error) {
    if (hasReason(error, 'AlreadyExists')) {
      return undefined; // another server was first, just now
    }
    throw error;
  }
  const admin = await tokens.create({ role: 'admin', user: 'admin' });
  const join = await tokens.create({ role: 'node', uses: FIRST_MACHINES });
  return `
This server asks for credentials. What follows is shown this once.

On your laptop, and paste the token when it is asked for:
  caractrl login ${url}${caFingerprint === undefined ? '' : ` --ca-fingerprint ${caFingerprint}`}
  ${admin.token}

On each worker (up to ${FIRST_MACHINES}, within the next hour; later: caractrl token create --role node):
  ${describeJoin({ serverUrl: url, token: join.token, caFingerprint })}
${needsApproval ? WAITING : ''}
Another admin token, on this machine: cara-server token create --role admin --user NAME

`;
}
