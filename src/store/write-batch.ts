/**
 * Write batch: several commits judged one after the other, each seeing those before it, none of them done yet.
 *
 * Pure but for its own state: it reads the documents and says what would change. Whoever made it writes `changes` down, all of them or
 * none, and then applies them; or drops the batch, and nothing has happened.
 */
import { ApiError } from '../api/errors.ts';
import type { Documents } from './documents.ts';
import type { Change, Draft, StoredObject, Write } from './store.ts';

/** key -> the object as it would be, undefined where it would be gone */
type Overlay = Map<string, StoredObject | undefined>;

export class WriteBatch {
  readonly #documents: Documents;
  readonly #overlay: Overlay = new Map();
  readonly #changes: Change[] = [];
  #version: number;

  constructor(documents: Documents) {
    this.#documents = documents;
    this.#version = documents.version;
  }

  /** What all commits taken in so far would change, in order of version. */
  get changes(): readonly Change[] {
    return this.#changes;
  }

  /**
   * Takes in one commit whole, or throws and stays as it was.
   * @param writes frozen to the last leaf (frozenCopyOf)
   * @returns what `Store.commit` returns
   * @throws {ApiError} AlreadyExists, NotFound, Conflict
   */
  add(writes: readonly Write[]): readonly (StoredObject | undefined)[] {
    const staged: Overlay = new Map();
    const changes: Change[] = [];
    const results = writes.map((write) => {
      const change = this.#judge(write, staged, this.#version + changes.length + 1);
      if (change === undefined) {
        return undefined;
      }
      changes.push(change);
      staged.set(keyOf(write), change.type === 'DELETED' ? undefined : change.object);
      return change.object;
    });
    for (const [key, object] of staged) {
      this.#overlay.set(key, object);
    }
    this.#changes.push(...changes);
    this.#version += changes.length;
    return results;
  }

  #judge(write: Write, staged: Overlay, version: number): Change | undefined {
    const current = this.#find(write, staged);
    switch (write.op) {
      case 'create':
        if (current !== undefined) {
          throw new ApiError('AlreadyExists', `Cannot create ${describe(write)} as it exists already`);
        }
        return { type: 'ADDED', version, object: stamp(write.object, version) };
      case 'update': {
        const previous = requireCurrent(write, current);
        return { type: 'MODIFIED', version, object: stamp(write.object, version), previous };
      }
      case 'delete': {
        const previous = requireCurrent(write, current);
        return { type: 'DELETED', version, object: stamp(previous, version), previous };
      }
      case 'check':
        requireVersion(write, current);
        return undefined;
      default:
        return write satisfies never;
    }
  }

  #find(write: Write, staged: Overlay): StoredObject | undefined {
    const key = keyOf(write);
    if (staged.has(key)) {
      return staged.get(key);
    }
    if (this.#overlay.has(key)) {
      return this.#overlay.get(key);
    }
    const { kind, name } = targetOf(write);
    return this.#documents.get(kind, name);
  }
}

function stamp(draft: Draft, version: number): StoredObject {
  return Object.freeze({ ...draft, metadata: Object.freeze({ ...draft.metadata, resourceVersion: String(version) }) });
}

function requireCurrent(write: Extract<Write, { op: 'update' | 'delete' }>, current: StoredObject | undefined): StoredObject {
  if (current === undefined) {
    throw new ApiError('NotFound', `Cannot ${write.op} ${describe(write)} as there is none`);
  }
  if (write.expectedVersion !== undefined) {
    requireVersion(write, current);
  }
  return current;
}

function requireVersion(write: Extract<Write, { op: 'update' | 'delete' | 'check' }>, current: StoredObject | undefined): void {
  const version = current?.metadata.resourceVersion;
  if (version !== write.expectedVersion) {
    const action = write.op === 'check' ? 'write' : write.op;
    const [expected, found] = [write.expectedVersion, version].map((value) => (value === undefined ? 'none' : `version ${value}`));
    throw new ApiError(
      'Conflict',
      `Cannot ${action} as ${describe(write)} has changed since it was read: expected is ${expected}, current value is ${found}`,
    );
  }
}

function targetOf(write: Write): { readonly kind: string; readonly name: string } {
  return write.op === 'create' || write.op === 'update' ? { kind: write.object.kind, name: write.object.metadata.name } : write;
}

function keyOf(write: Write): string {
  const { kind, name } = targetOf(write);
  return `${kind}\0${name}`;
}

function describe(write: Write): string {
  const { kind, name } = targetOf(write);
  return `${kind} "${name}"`;
}
