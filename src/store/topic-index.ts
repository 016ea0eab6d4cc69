/**
 * Topic index: the objects of one kind by the value of one field.
 *
 * Owns     value -> names; made at the first question, from then on told of each change.
 * Callers  documents.ts
 */
import type { StoredObject } from './store.ts';
import { readField } from './topic.ts';

const NONE: ReadonlySet<string> = new Set();

export class TopicIndex {
  readonly #field: string;
  readonly #namesByValue = new Map<string, Set<string>>();

  constructor(field: string, objects: Iterable<StoredObject>) {
    this.#field = field;
    for (const object of objects) {
      this.update(undefined, object);
    }
  }

  /** Names of those of which the field has this value, in no particular order. */
  find(value: string): ReadonlySet<string> {
    return this.#namesByValue.get(value) ?? NONE;
  }

  update(before: StoredObject | undefined, after: StoredObject | undefined): void {
    const [left, entered] = [before, after].map((object) => object && readField(object, this.#field));
    if (left === entered) {
      return;
    }
    if (left !== undefined && before !== undefined) {
      const names = this.#namesByValue.get(left);
      names?.delete(before.metadata.name);
      if (names?.size === 0) {
        this.#namesByValue.delete(left);
      }
    }
    if (entered !== undefined && after !== undefined) {
      const names = this.#namesByValue.get(entered) ?? new Set();
      this.#namesByValue.set(entered, names.add(after.metadata.name));
    }
  }
}
