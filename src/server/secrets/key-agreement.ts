/**
 * Key agreement: servers on one database must have the same key of Secrets, or one could not read what another has written.
 *
 * Owns     the record of the id of that key; never the key.
 * Callers  start-secrets.ts, rotate-command.ts
 */
import { hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import { StartError } from '../../base/program.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import { newMeta, putOver } from '../objects/record.ts';
import { describeSource, findKeySource, readKeys, type KeySettings } from './key-source.ts';
import type { Keyring } from './keyring.ts';
import { SECRET_KIND } from './stored-secret.ts';

/** Internal: users do not see it. */
const KIND = 'SecretsKey';
const NAME = 'secrets-key';

interface KeyRecord extends StoredObject {
  readonly kind: typeof KIND;
  readonly keyId: string;
}

export interface KeyAgreementDeps {
  readonly store: Store;
  readonly random: Random;
  readonly clock: Clock;
}

/** To be called before a key is made. @throws {StartError} when the other servers have one and this one has none */
export async function requireSharedKey(settings: KeySettings, { store }: Pick<KeyAgreementDeps, 'store'>): Promise<void> {
  const source = findKeySource(settings);
  const record = await store.get<KeyRecord>(KIND, NAME);
  if (record !== undefined && (await readKeys(settings, source)) === undefined) {
    throw refusal(record.keyId, `${describeSource(source)} is not there`, describeSource(source));
  }
}

/** Writes down which key it is, or checks that it is that one. `keyring` reads every Secret that is stored. @throws {StartError} */
export async function agreeOnKey(settings: KeySettings, keyring: Keyring, deps: KeyAgreementDeps): Promise<void> {
  const { store, random, clock } = deps;
  const record = await store.get<KeyRecord>(KIND, NAME);
  const { id: keyId } = keyring.current;
  if (record?.keyId === keyId) {
    return;
  }
  const { items } = await store.list(SECRET_KIND, { limit: 1 });
  if (record !== undefined && !keyring.byId.has(record.keyId) && items.length === 0) {
    const where = describeSource(findKeySource(settings));
    throw refusal(record.keyId, `${where} has another (${keyId})`, where);
  } // else it was rotated: it reads what is stored, or the old one is among them
  const now = nowRfc3339(clock);
  const fresh = newMeta(NAME, random.uuid(), now);
  const object = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { ...(record?.metadata ?? fresh), updatedAt: now },
    keyId,
  } satisfies Draft<KeyRecord>;
  try {
    await store.commit([putOver(record, object)]);
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists', 'Conflict')) {
      throw error;
    }
    await agreeOnKey(settings, keyring, deps); // another server was first
  }
}

/** After a rotation: the next server that starts says which key it is. */
export async function forgetSharedKey(store: Store): Promise<void> {
  if ((await store.get(KIND, NAME)) !== undefined) {
    await store.commit([{ op: 'delete', kind: KIND, name: NAME }]);
  }
}

function refusal(keyId: string, found: string, where: string): StartError {
  return new StartError(
    `Cannot start as the servers on one database share one key of Secrets (${keyId}) and ${found}: ` +
      `copy the key file of another server to ${where}, or give all servers the same SECRETS_KEY_FILE`,
  );
}
