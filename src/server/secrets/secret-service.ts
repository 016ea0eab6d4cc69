/**
 * Secret service: every write of a Secret, and the two ways in which values come out again.
 *
 * Owns     the sealer: nobody else sees values. A value that a write does not change keeps its sealed form, so that applying the same
 *          thing twice changes nothing.
 * Never    puts a value, or a part of one, into a message, a log line or an answer but that of `reveal`.
 * Callers  http/routes/secrets.ts
 */
import { decodeSecretManifest } from '../../api/manifest.ts';
import { invalid } from '../../api/decode.ts';
import { DOCKER_CONFIG_KEY } from '../../api/docker-config.ts';
import {
  checkSecretContent,
  type SecretApply,
  type SecretContent,
  type SecretManifest,
  type SecretObject,
  type SecretType,
} from '../../api/secret.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store } from '../../store/store.ts';
import type { Admit } from '../auth/admission.ts';
import { notFound } from '../objects/not-found.ts';
import { applyObject, checkMayCreate, checkName, mergePatch, newObject, replaceObject, retryOnConflict } from '../objects/write-object.ts';
import type { Sealer } from './sealer.ts';
import { openValues, placeOf, revealSecret, SECRET_KIND, type SecretSpec, type StoredSecret } from './stored-secret.ts';

export interface SecretServiceDeps {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Applied {
  readonly object: StoredSecret;
  readonly isCreated: boolean;
  readonly isChanged: boolean;
}

/**
 * `admit` is asked before each write, with what is there and what it would become.
 * A manifest without data and stringData leaves the values as they are: reads do not show them, so it cannot have them all.
 */
export interface SecretService {
  /** @throws {ApiError} AlreadyExists, Invalid */
  create(manifest: SecretManifest, admit?: Admit): Promise<StoredSecret>;
  /** @throws {ApiError} NotFound, Invalid; Conflict when the manifest names a resourceVersion that is not current */
  replace(name: string, manifest: SecretManifest, admit?: Admit): Promise<StoredSecret>;
  /** Creates or changes: labels and annotations merge, the values given replace all there were. @throws {ApiError} Invalid, Conflict */
  apply(manifest: SecretManifest | SecretApply, admit?: Admit): Promise<Applied>;
  /** RFC 7396 on metadata, type, data and stringData. @throws {ApiError} NotFound, Invalid, Conflict */
  patch(name: string, patch: unknown, admit?: Admit): Promise<StoredSecret>;
  /** @throws {ApiError} NotFound */
  delete(name: string, admit?: Admit): Promise<StoredSecret>;
  /** With its values. Who may see them is the caller's to know. @throws {ApiError} NotFound */
  reveal(name: string): Promise<SecretObject>;
}

interface Desired {
  readonly metadata: SecretManifest['metadata'] | SecretApply['metadata'];
  readonly content: SecretContent;
}

export function createSecretService(deps: SecretServiceDeps): SecretService {
  const { store, sealer, clock, random } = deps;
  const log = deps.log.child({ component: 'secret-service' });

  async function getSecret(name: string): Promise<StoredSecret> {
    const secret = await store.get<StoredSecret>(SECRET_KIND, name);
    if (secret === undefined) {
      throw notFound('secret', name);
    }
    return secret;
  }

  async function createSecret({ metadata, content }: Desired, admit: Admit | undefined): Promise<StoredSecret> {
    const uid = random.uuid();
    const spec = sealSpec(sealer, content, { name: metadata.name, uid });
    const object = newObject<StoredSecret>({ kind: SECRET_KIND, metadata, spec, status: {}, uid, now: nowRfc3339(clock) });
    await admit?.(undefined, object);
    const [created] = await store.commit([{ op: 'create', object }]);
    log.info({ secret: metadata.name, keys: Object.keys(spec.values).length }, 'secret created');
    return created as StoredSecret;
  }

  async function commitChange(before: StoredSecret, after: StoredSecret, admit: Admit | undefined): Promise<StoredSecret> {
    await admit?.(before, after);
    if (after === before) {
      return before;
    }
    const [changed] = await store.commit([{ op: 'update', object: after, expectedVersion: before.metadata.resourceVersion }]);
    log.info({ secret: after.metadata.name, generation: after.metadata.generation }, 'secret changed');
    return changed as StoredSecret;
  }

  const replace = async (before: StoredSecret, { metadata, content }: Desired, admit: Admit | undefined): Promise<StoredSecret> => {
    await admit?.(before, before); // before a Conflict tells what has changed
    const spec = sealSpec(sealer, content, before.metadata, before.spec);
    return commitChange(before, replaceObject(before, { metadata, spec }, nowRfc3339(clock)), admit);
  };

  async function applyOnce(manifest: SecretManifest | SecretApply, admit: Admit | undefined): Promise<Applied> {
    const { metadata } = manifest;
    const before = await store.get<StoredSecret>(SECRET_KIND, metadata.name);
    if (before === undefined) {
      checkMayCreate('Secret', metadata);
      return { object: await createSecret({ metadata, content: manifest }, admit), isCreated: true, isChanged: true };
    }
    await admit?.(before, before);
    const spec = sealSpec(sealer, manifest, before.metadata, before.spec);
    const object = await commitChange(before, applyObject(before, { metadata, spec }, nowRfc3339(clock)), admit);
    return { object, isCreated: false, isChanged: object !== before };
  }

  /** The patch meets the values themselves: one key is changed or removed without naming the others. */
  function patched(before: StoredSecret, patch: unknown): SecretManifest {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
      throw invalid('the patch', [{ pointer: '', detail: 'must be a map of fields' }]);
    }
    const { apiVersion, kind, metadata, spec } = before;
    const { name, labels, annotations } = metadata;
    const target = { apiVersion, kind, metadata: { name, labels, annotations }, type: spec.type, data: openValues(sealer, before) };
    const result: Record<string, unknown> = { data: {}, ...(mergePatch(target, patch) as object) }; // data: null removes all of them
    checkName(name, (result['metadata'] as Record<string, unknown> | null | undefined)?.['name']);
    return decodeSecretManifest(result);
  }

  return {
    create: (manifest, admit) => createSecret({ metadata: manifest.metadata, content: manifest }, admit),
    replace: (name, manifest, admit) =>
      retryOnConflict(async () => replace(await getSecret(name), { metadata: manifest.metadata, content: manifest }, admit)),
    apply: (manifest, admit) => retryOnConflict(() => applyOnce(manifest, admit), ['Conflict', 'AlreadyExists']),
    patch: (name, patch, admit) =>
      retryOnConflict(async () => {
        const before = await getSecret(name);
        await admit?.(before, before);
        const manifest = patched(before, patch);
        return replace(before, { metadata: manifest.metadata, content: manifest }, admit);
      }),
    delete: (name, admit) =>
      retryOnConflict(async () => {
        const secret = await getSecret(name);
        const { metadata } = secret;
        await admit?.(secret, undefined);
        const [deleted] = await store.commit([{ op: 'delete', kind: SECRET_KIND, name, expectedVersion: metadata.resourceVersion }]);
        log.info({ secret: name, uid: metadata.uid }, 'secret deleted');
        return deleted as StoredSecret;
      }),
    reveal: async (name) => revealSecret(sealer, await getSecret(name)),
  };
}

interface Owner {
  readonly name: string;
  readonly uid: string;
}

/** The spec that `content` asks for; what it leaves out stays. @throws {ApiError} Invalid */
function sealSpec(sealer: Sealer, content: SecretContent, owner: Owner, before?: SecretSpec): SecretSpec {
  const type = content.type ?? before?.type ?? 'Opaque';
  const isKept = content.data === undefined && content.stringData === undefined;
  if (isKept && before !== undefined && before.type === type) {
    return before;
  }
  const values = isKept ? openAll(sealer, owner, before?.values ?? {}) : readValues(content);
  checkValues(type, values);
  return { type, values: sealAll(sealer, values, owner, before?.values ?? {}) };
}

/** The rules of the type, which a manifest that names only a part of the Secret does not show. @throws {ApiError} Invalid */
function checkValues(type: SecretType, values: ReadonlyMap<string, Buffer>): void {
  const data = Object.fromEntries([...values].map(([key, value]) => [key, value.toString('base64')]));
  const isEmpty = type === 'dockerconfigjson' && values.size === 0;
  const errors = isEmpty
    ? [{ pointer: `/data/${DOCKER_CONFIG_KEY}`, detail: 'is required for type dockerconfigjson' }]
    : checkSecretContent({ type, data });
  if (errors.length > 0) {
    throw invalid('Secret', errors);
  }
}

function readValues({ data = {}, stringData = {} }: SecretContent): ReadonlyMap<string, Buffer> {
  return new Map([
    ...Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    ...Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value)] as const),
  ]);
}

function openAll(sealer: Sealer, owner: Owner, values: SecretSpec['values']): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(values).map(([key, value]) => [key, sealer.open(placeOf(owner, key), value)]));
}

function sealAll(sealer: Sealer, values: ReadonlyMap<string, Buffer>, owner: Owner, before: SecretSpec['values']): SecretSpec['values'] {
  return Object.fromEntries(
    [...values].map(([key, value]) => {
      const place = placeOf(owner, key);
      const previous = Object.hasOwn(before, key) ? before[key] : undefined;
      const isSame = previous !== undefined && sealer.tryOpen(place, previous)?.equals(value) === true;
      return [key, isSame ? previous : sealer.seal(place, value)];
    }),
  );
}
