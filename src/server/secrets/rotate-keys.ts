/**
 * Rotation: encrypts all Secrets anew under a new key, while no server runs (SQLite's lock sees to that).
 *
 * Crash-safe, as at no moment a value is stored under a key that the file does not have: the file gets the new key in front of the old
 * ones, one commit encrypts everything under it, then the old ones go. Cut short anywhere, the next start reads all, and the next
 * rotation ends what this one began. Fingerprints stay, so nothing that runs notices.
 * Callers  rotate-command.ts
 */
import type { Logger } from '../../base/log.ts';
import { StartError } from '../../base/program.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Store, Write } from '../../store/store.ts';
import { describeSource, findKeySource, readKeys, writeKeys, type KeySettings, type KeySource } from './key-source.ts';
import { newKey, toKeyring, type Keyring } from './keyring.ts';
import { createSealer, type Sealer } from './sealer.ts';
import { placeOf, SECRET_KIND, type StoredSecret } from './stored-secret.ts';

export interface RotationDeps {
  readonly settings: KeySettings;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** what becomes of Secrets that cannot be read, as their key is lost; default 'refuse' */
  readonly unreadable?: 'refuse' | 'drop';
}

export interface Rotation {
  /** Secrets that were encrypted anew */
  readonly rotated: number;
  /** names of the Secrets that were deleted as they cannot be read */
  readonly dropped: readonly string[];
  readonly keyId: string;
  /** the file, or the setting */
  readonly where: string;
}

/** @throws {StartError} when a key is missing; whatever the store throws */
export async function rotateKeys(deps: RotationDeps): Promise<Rotation> {
  const { settings, store, unreadable = 'refuse', log } = deps;
  const source = findKeySource(settings);
  const before = await readKeys(settings, source);
  const stored = (await store.list<StoredSecret>(SECRET_KIND)).items;
  const keyring = extend(source, before);
  const sealer = createSealer(keyring);
  const lost = stored.filter((secret) => !isReadable(sealer, secret));
  if (lost.length > 0 && unreadable === 'refuse') {
    throw new StartError(
      `Cannot rotate as ${lost.length} of ${stored.length} Secrets cannot be read with the keys in ${describeSource(source)}: put the right key back, or delete them with --drop-unreadable`,
    );
  }
  if (source.kind === 'file') {
    await writeKeys(source.path, [...keyring.byId.values()]);
  }
  const writes = listWrites(sealer, stored, { lost: new Set(lost), now: nowRfc3339(deps.clock) });
  if (writes.length > 0) {
    await store.commit(writes);
  }
  if (source.kind === 'file') {
    await writeKeys(source.path, [keyring.current]);
  }
  const dropped = lost.map(({ metadata }) => metadata.name);
  log.info({ keyId: keyring.current.id, rotated: writes.length - dropped.length, dropped }, 'secrets key rotated');
  return { rotated: writes.length - dropped.length, dropped, keyId: keyring.current.id, where: describeSource(source) };
}

/** With a new key in front; where the keys are a setting, whoever keeps it has put one there. */
function extend(source: KeySource, before: Keyring | undefined): Keyring {
  if (source.kind === 'setting' && before !== undefined) {
    return before;
  }
  return toKeyring(newKey(), [...(before?.byId.values() ?? [])]);
}

function listWrites(
  sealer: Sealer,
  stored: readonly StoredSecret[],
  { lost, now }: { readonly lost: ReadonlySet<StoredSecret>; readonly now: string },
): readonly Write[] {
  return stored.flatMap((secret): readonly Write[] => {
    const { name, resourceVersion: expectedVersion } = secret.metadata;
    if (lost.has(secret)) {
      return [{ op: 'delete', kind: SECRET_KIND, name, expectedVersion }];
    }
    const object = reseal(sealer, secret, now);
    return object === secret ? [] : [{ op: 'update', object, expectedVersion }];
  });
}

function isReadable(sealer: Sealer, { metadata, spec }: StoredSecret): boolean {
  return Object.entries(spec.values).every(([key, value]) => sealer.tryOpen(placeOf(metadata, key), value) !== undefined);
}

function reseal(sealer: Sealer, secret: StoredSecret, now: string): StoredSecret {
  const { metadata, spec } = secret;
  const values = Object.entries(spec.values).map(([key, value]) => [key, sealer.reseal(placeOf(metadata, key), value)] as const);
  if (values.every(([key, value]) => value === spec.values[key])) {
    return secret;
  }
  // no new generation: what the user asked for is the same
  return { ...secret, metadata: { ...metadata, updatedAt: now }, spec: { ...spec, values: Object.fromEntries(values) } };
}
