/**
 * The rules by which a user's manifest becomes a stored object; pure, the same for every kind.
 *
 * What the server owns in `metadata` (uid, resourceVersion, generation, times) is never taken from a manifest. A write that changes
 * nothing gives back the very object it was given, so that the caller writes nothing and resourceVersion stays.
 * Callers  nodes/node-service.ts, projects/project-service.ts.
 * Source   RFC 7396 (JSON merge patch).
 */
import { isDeepStrictEqual } from 'node:util';
import { ApiError, hasReason, type Reason } from '../../api/errors.ts';
import { isRecord } from '../../api/is-record.ts';
import { API_VERSION, type ObjectMeta } from '../../api/meta.ts';
import type { Draft, StoredObject } from '../../store/store.ts';

/** A stored object that users write: spec is theirs, status the system's. */
export interface Resource extends StoredObject {
  readonly spec: object;
  readonly status: object;
}

type NullableMap = Readonly<Record<string, string | null>>;

/** The user's part of `metadata`. In an apply, null removes a label or an annotation. */
export interface ManifestMetadata {
  readonly name: string;
  readonly labels?: NullableMap;
  readonly annotations?: NullableMap;
  /** where given, the write happens only while the object is at this version */
  readonly resourceVersion?: string;
}

export interface NewObjectParts<Item extends Resource> {
  readonly kind: Item['kind'];
  readonly metadata: ManifestMetadata;
  /** with its defaults filled in */
  readonly spec: Item['spec'];
  readonly status: Item['status'];
  readonly uid: string;
  /** RFC 3339 */
  readonly now: string;
}

/** Makes an object that is to be created: generation 1, both times `now`. */
export function newObject<Item extends Resource>(parts: NewObjectParts<Item>): Draft<Item> {
  const { kind, metadata, spec, status, uid, now } = parts;
  const draft = {
    apiVersion: API_VERSION,
    kind,
    metadata: {
      name: metadata.name,
      labels: withoutNulls(metadata.labels ?? {}),
      annotations: withoutNulls(metadata.annotations ?? {}),
      uid,
      generation: 1,
      createdAt: now,
      updatedAt: now,
      resourceVersion: '', // the store's to say: a place for it, as a field that is added later takes 32 bytes more, in each object
    },
    spec,
    status,
  };
  return draft as unknown as Draft<Item>; // Item adds no field to Resource but the types of these
}

/** What a write asks for, its spec with defaults filled in. */
export interface Desired<Item extends Resource> {
  readonly metadata: ManifestMetadata;
  readonly spec: Item['spec'];
}

/** PUT: labels, annotations and spec become what `desired` says; what it leaves out is gone. @throws {ApiError} Conflict */
export function replaceObject<Item extends Resource>(existing: Item, desired: Desired<Item>, now: string): Item {
  checkResourceVersion(existing, desired.metadata.resourceVersion);
  return rewrite(existing, withoutNulls(desired.metadata.labels ?? {}), withoutNulls(desired.metadata.annotations ?? {}), {
    spec: desired.spec,
    now,
  });
}

/** Apply: labels and annotations merge (null removes); spec becomes `desired.spec`, which the caller has merged if its kind does. @throws {ApiError} Conflict */
export function applyObject<Item extends Resource>(existing: Item, desired: Desired<Item>, now: string): Item {
  checkResourceVersion(existing, desired.metadata.resourceVersion);
  const { labels, annotations } = existing.metadata;
  return rewrite(existing, merged(labels, desired.metadata.labels), merged(annotations, desired.metadata.annotations), {
    spec: desired.spec,
    now,
  });
}

/**
 * RFC 7396 on the user's part of the object: gives the manifest that a PUT of the patched object would send, for `decode` to check.
 * `metadata.resourceVersion` of the patch, where given, is in the result and thus checked by `replaceObject`.
 * @param decode throws Invalid for what is no manifest of the kind any more
 * @throws {ApiError} Invalid also when the patch is no object, or would change apiVersion, kind or name
 */
export function patchManifest<Manifest>(existing: Resource, patch: unknown, decode: (input: unknown) => Manifest): Manifest {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    throw new ApiError('Invalid', `Cannot patch ${describe(existing)} as a merge patch must be a map of fields`, {
      errors: [{ pointer: '', detail: 'must be a map of fields' }],
    });
  }
  const { apiVersion, kind, metadata, spec } = existing;
  const { name, labels, annotations } = metadata;
  const target = { apiVersion, kind, metadata: { name, labels, annotations }, spec };
  const patched = mergePatch(target, patch) as Record<string, unknown>;
  checkName(name, (patched['metadata'] as Record<string, unknown> | null | undefined)?.['name']);
  return decode(patched);
}

/** Applies an RFC 7396 merge patch to a JSON value; neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) {
    return patch;
  }
  // through a Map and fromEntries: an own "__proto__" of parsed JSON stays an own property and changes no prototype
  const result = new Map<string, unknown>(isRecord(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      result.delete(key);
    } else {
      result.set(key, mergePatch(result.get(key), value));
    }
  }
  return Object.fromEntries(result);
}

/** Marks the Conflict of a version that the caller's own manifest names: no other attempt mends that. */
const VERSION_POINTER = '/metadata/resourceVersion';

/** An apply that names a version means an object that is there. @throws {ApiError} Conflict */
export function checkMayCreate(kind: string, { name, resourceVersion }: ManifestMetadata): void {
  if (resourceVersion !== undefined) {
    throw new ApiError(
      'Conflict',
      `Cannot apply ${kind.toLowerCase()} ${JSON.stringify(name)} as it does not exist any more: the manifest names resourceVersion ${resourceVersion}; leave resourceVersion out to create it`,
      {
        errors: [
          { pointer: VERSION_POINTER, detail: `must be left out to create it: current value is ${JSON.stringify(resourceVersion)}` },
        ],
      },
    );
  }
}

/** @throws {ApiError} Conflict when `given` is there and is not the object's current version */
export function checkResourceVersion(existing: StoredObject, given: string | undefined): void {
  const current = existing.metadata.resourceVersion;
  if (given !== undefined && given !== current) {
    throw new ApiError(
      'Conflict',
      `Cannot write ${describe(existing)} as it has changed since it was read: the write names resourceVersion ${given}, current is ${current}; read it again, or leave resourceVersion out`,
      { errors: [{ pointer: VERSION_POINTER, detail: `must be ${JSON.stringify(current)}: current value is ${JSON.stringify(given)}` }] },
    );
  }
}

/** @throws {ApiError} Invalid when a body names another object than the path */
export function checkName(pathName: string, bodyName: unknown): void {
  if (bodyName !== pathName) {
    const said = JSON.stringify(bodyName) ?? 'missing';
    throw new ApiError(
      'Invalid',
      `Cannot write ${JSON.stringify(pathName)} as the path and metadata.name must agree: in the body it is ${said}`,
      {
        errors: [
          {
            pointer: '/metadata/name',
            detail: `must be ${JSON.stringify(pathName)}, as in the path: current value is ${said}`,
          },
        ],
      },
    );
  }
}

/** How often a write is tried again when somebody else wrote in between; each failure means that another write went through. */
const MAX_ATTEMPTS = 64;

/**
 * Runs a read-decide-commit until no other write came between read and commit.
 * A version that the caller's manifest names only gets older: that Conflict is thrown at once.
 * @param reasons what `attempt` throws when another write came first: AlreadyExists too where it creates what it did not find
 * @throws {ApiError} the last failure after 64 attempts, and everything else `attempt` throws
 */
export async function retryOnConflict<Result>(attempt: () => Promise<Result>, reasons: readonly Reason[] = ['Conflict']): Promise<Result> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (count >= MAX_ATTEMPTS || !hasReason(error, ...reasons) || error.errors.some(({ pointer }) => pointer === VERSION_POINTER)) {
        throw error;
      }
    }
  }
}

function rewrite<Item extends Resource>(
  existing: Item,
  labels: ObjectMeta['labels'],
  annotations: ObjectMeta['annotations'],
  { spec, now }: { readonly spec: Item['spec']; readonly now: string },
): Item {
  const isSameSpec = isDeepStrictEqual(existing.spec, spec);
  if (isSameSpec && isDeepStrictEqual(existing.metadata.labels, labels) && isDeepStrictEqual(existing.metadata.annotations, annotations)) {
    return existing;
  }
  const generation = existing.metadata.generation + (isSameSpec ? 0 : 1);
  return {
    ...existing,
    metadata: { ...existing.metadata, labels, annotations, generation, updatedAt: now },
    spec: isSameSpec ? existing.spec : spec,
  };
}

function merged(existing: Readonly<Record<string, string>>, changes: NullableMap | undefined): Readonly<Record<string, string>> {
  return withoutNulls(Object.fromEntries([...Object.entries(existing), ...Object.entries(changes ?? {})]));
}

function withoutNulls(map: NullableMap): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => entry[1] !== null));
}

function describe({ kind, metadata }: StoredObject): string {
  return `${kind.toLowerCase()} ${JSON.stringify(metadata.name)}`;
}
