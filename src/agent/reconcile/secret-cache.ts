/**
 * Secret cache: the values that containers on this node are made with, in memory alone.
 *
 * Owns     the latest values read of each Secret that an assigned Project uses; forgets them with the last Project that does.
 * Never    writes a value anywhere. After a restart it is empty, and nothing that runs needs it.
 * Callers  reconciler.ts says who uses what; effects.ts fetches and takes values; plan looks at fingerprints.
 */
import { hasReason } from '../../api/errors.ts';

/** A Secret as the server hands it to a node that uses it. */
export interface SecretValues {
  readonly name: string;
  /** of all values together */
  readonly fingerprint: string;
  /** key -> value */
  readonly values: ReadonlyMap<string, { readonly fingerprint: string; readonly bytes: Buffer }>;
}

/** The way to the server. */
export interface SecretSource {
  /** @throws {ApiError} NotFound; Forbidden where no Project bound to this node uses it; Unavailable and the like */
  read(name: string, signal: AbortSignal): Promise<SecretValues>;
}

export class SecretCache {
  readonly #source: SecretSource;
  readonly #values = new Map<string, SecretValues>();
  /** Project -> Secrets that it uses */
  readonly #uses = new Map<string, readonly string[]>();

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /** Secret name -> its values; a live view. */
  get values(): ReadonlyMap<string, SecretValues> {
    return this.#values;
  }

  /** Reads the values anew. @throws what the source throws; a Secret that is gone is forgotten */
  async fetch(name: string, signal: AbortSignal): Promise<void> {
    try {
      this.#values.set(name, await this.#source.read(name, signal));
    } catch (error) {
      if (hasReason(error, 'NotFound', 'Forbidden')) {
        this.#values.delete(name);
      }
      throw error;
    }
  }

  /** Takes in which Secrets a Project uses from now on; none: it is gone, or no longer ours. */
  setUses(project: string, secrets: readonly string[]): void {
    if (secrets.length === 0) {
      this.#uses.delete(project);
    } else {
      this.#uses.set(project, secrets);
    }
    const used = new Set([...this.#uses.values()].flat());
    for (const name of this.#values.keys()) {
      if (!used.has(name)) {
        this.#values.delete(name);
      }
    }
  }
}
