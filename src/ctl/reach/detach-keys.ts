/** The keys that leave a command running and go: pure. Callers: exec-streams.ts, commands/exec.ts. */
import { UsageError } from '../ctl-error.ts';

/** As in Docker. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** Reads keys apart by commas: a letter, or ctrl- and one of a-z @ [ \ ] ^ _. @returns their codes; none for "" @throws {UsageError} */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === '') {
    return new Uint8Array(0);
  }
  return Uint8Array.from(text.split(','), (word) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/iu.exec(word)?.[1];
    if (control !== undefined) {
      return control.toUpperCase().charCodeAt(0) & 0x1f;
    }
    if (!/^[\x21-\x7e]$/u.test(word)) {
      throw new UsageError(
        `Cannot use --detach-keys ${JSON.stringify(text)} as it must be keys apart by commas, such as ${DEFAULT_DETACH_KEYS}`,
      );
    }
    return word.charCodeAt(0);
  });
}

/** Looks for the keys in what is typed. What may be their beginning is held back until the next key shows that it was not. */
export class DetachWatch {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** @returns what is to be passed on, and whether the keys were complete; what follows them is dropped */
  push(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly isDetached: boolean } {
    if (this.#keys.length === 0) {
      return { bytes: chunk, isDetached: false };
    }
    const passed: number[] = [];
    for (const byte of chunk) {
      // a sequence may begin again within itself: what no longer fits is passed on, the rest is kept
      const held = [...this.#keys.subarray(0, this.#matched), byte];
      while (held.length > 0 && !held.every((one, index) => one === this.#keys[index])) {
        passed.push(held.shift() ?? 0);
      }
      this.#matched = held.length;
      if (this.#matched === this.#keys.length) {
        return { bytes: Uint8Array.from(passed), isDetached: true };
      }
    }
    return { bytes: Uint8Array.from(passed), isDetached: false };
  }
}
