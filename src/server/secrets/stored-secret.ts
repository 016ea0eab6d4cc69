/** A Secret as the store has it, and as users see it. Values are sealed from the moment they leave the service that took them in. */
import { API_VERSION, type ObjectMeta } from '../../api/meta.ts';
import type { SecretObject, SecretType } from '../../api/secret.ts';
import { joinFingerprints, type Place, type SealedValue, type Sealer } from './sealer.ts';

export const SECRET_KIND = 'Secret';

export interface StoredSecret {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof SECRET_KIND;
  readonly metadata: ObjectMeta;
  readonly spec: SecretSpec;
  readonly status: object;
}

export interface SecretSpec {
  readonly type: SecretType;
  /** key -> value; read with Object.hasOwn, as keys may be words like "constructor" */
  readonly values: Readonly<Record<string, SealedValue>>;
}

/** What everyone may see who may see the Secret: no values, sealed or not. */
export function presentSecret({ apiVersion, kind, metadata, spec }: StoredSecret): SecretObject {
  const keys = Object.entries(spec.values)
    .map(([name, { size, fingerprint }]) => ({ name, size, fingerprint }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
  return { apiVersion, kind, metadata, type: spec.type, status: { keys, fingerprint: joinFingerprints(keys) } };
}

/** In the fields that manifests have, with a fingerprint in the place of each value: for telling which have changed. */
export function compareSecret({ metadata, spec }: StoredSecret): object {
  const data = Object.fromEntries(Object.entries(spec.values).map(([key, { fingerprint }]) => [key, fingerprint]));
  return { metadata, type: spec.type, data };
}

/** With its values, for who may see these. @throws {ApiError} Internal as `Sealer.open` */
export function revealSecret(sealer: Sealer, secret: StoredSecret): SecretObject {
  const { status, ...rest } = presentSecret(secret);
  return { ...rest, data: openValues(sealer, secret), status };
}

/** Key -> value in base64. @throws {ApiError} Internal as `Sealer.open` */
export function openValues(sealer: Sealer, { metadata, spec }: StoredSecret): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(spec.values).map(([key, value]) => [key, sealer.open(placeOf(metadata, key), value).toString('base64')]),
  );
}

export function placeOf({ name, uid }: Pick<ObjectMeta, 'name' | 'uid'>, key: string): Place {
  return { secret: name, uid, key };
}
