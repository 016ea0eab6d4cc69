/**
 * Write batch: several commits judged one after the other, each seeing those before it, none of them done yet.
 *
 * Pure but for its own state: it reads the documents and says what would change. Whoever made it writes `changes` down, all of them or
 * none, and then applies them; or drops the batch, and nothing has happened.
 */
import { ApiError } from '../api/errors.ts';
import type { Documents } from './documents.ts';
import type { Change, Draft, StoredObject, Write } from './store.ts';

/** The objects as they would be. By kind and then by name: a joined key would be made anew, and hashed, at each look. */
class Overlay {
  /** kind -> name -> object, null where it would be gone */
  #byKind: Map<string, Map<string, StoredObject | null>> | undefined;

  /** undefined: as it was */
  find(kind: string, name: string): StoredObject | null | undefined {
    return this.#byKind?.get(kind)?.get(name);
  }

  add({ type, object }: Change): void {
    const { kind, metadata } = object;
    this.#byKind ??= new Map();
    let byName = this.#byKind.get(kind);
    if (byName === undefined) {
      byName = new Map();
      this.#byKind.set(kind, byName);
    }
    byName.set(metadata.name, type === 'DELETED' ? null : object);
  }
}

export class WriteBatch {
  readonly #documents: Documents;
  readonly #overlay = new Overlay();
  readonly #changes: Change[] = [];
  /** how many of `changes` the overlay has */
  #known = 0;
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
    this.#catchUp();
    const staged = new Overlay();
    const changes: Change[] = [];
    const results = writes.map((write, index) => {
      const change = this.#judge(write, staged, this.#version + changes.length + 1);
      if (change === undefined) {
        return undefined;
      }
      changes.push(change);
      if (index + 1 < writes.length) {
        staged.add(change);
      }
      return change.object;
    });
    this.#changes.push(...changes);
    this.#version += changes.length;
    return results;
  }

  /** Makes what the commits before have changed known to the next; the last of a batch, often its only one, has none. */
  #catchUp(): void {
    for (; this.#known < this.#changes.length; this.#known += 1) {
      const change = this.#changes[this.#known];
      if (change !== undefined) {
        this.#overlay.add(change);
      }
    }
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
    const isDraft = write.op === 'create' || write.op === 'update';
    const kind = isDraft ? write.object.kind : write.kind;
    const name = isDraft ? write.object.metadata.name : write.name;
    const inCommit = staged.find(kind, name);
    const changed = inCommit === undefined ? this.#overlay.find(kind, name) : inCommit;
    return changed === undefined ? this.#documents.get(kind, name) : (changed ?? undefined);
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

function describe(write: Write): string {
  const { kind, name } = write.op === 'create' || write.op === 'update' ? { kind: write.object.kind, ...write.object.metadata } : write;
  return `${kind} "${name}"`;
}
