/** Secrets as an agent gets them, without a server: their values, and what the server would put into a Project's status. */
import type { SecretSource, SecretValues } from '../../../src/agent/reconcile/secret-cache.ts';
import { ApiError } from '../../../src/api/errors.ts';
import type { ProjectObject } from '../../../src/api/project.ts';
import type { SecretObject } from '../../../src/api/secret.ts';
import { withUsedSecrets } from '../../../src/server/secrets/used-secrets.ts';

/** For tests without Secrets. */
export const NO_SECRETS: SecretSource = {
  read: async (name) => await Promise.reject(new ApiError('NotFound', `Cannot find secret "${name}"`)),
};

export class FakeSecrets implements SecretSource {
  /** name -> key -> value */
  readonly #secrets = new Map<string, Readonly<Record<string, string | Buffer>>>();
  /** Names in the order in which they were read. */
  readonly reads: string[] = [];
  /** Thrown at each read while it is set. */
  failure: Error | undefined;

  set(name: string, values: Readonly<Record<string, string | Buffer>>): void {
    this.#secrets.set(name, values);
  }

  delete(name: string): void {
    this.#secrets.delete(name);
  }

  async read(name: string): Promise<SecretValues> {
    this.reads.push(name);
    await Promise.resolve();
    const values = this.#secrets.get(name);
    if (this.failure !== undefined) {
      throw this.failure;
    }
    if (values === undefined) {
      throw new ApiError('NotFound', `Cannot find secret "${name}"`);
    }
    const entries = Object.entries(values).map(
      ([key, value]) => [key, { fingerprint: fingerprintOf(key, value), bytes: Buffer.from(value) }] as const,
    );
    return { name, fingerprint: wholeOf(values), values: new Map(entries) };
  }

  /** The Project as the server would hand it out now. */
  fill(project: ProjectObject): ProjectObject {
    return withUsedSecrets(project, (name) => this.#present(name));
  }

  #present(name: string): SecretObject | undefined {
    const values = this.#secrets.get(name);
    if (values === undefined) {
      return undefined;
    }
    const keys = Object.entries(values).map(([key, value]) => ({ name: key, size: value.length, fingerprint: fingerprintOf(key, value) }));
    return { status: { keys, fingerprint: wholeOf(values) } } as unknown as SecretObject;
  }
}

function fingerprintOf(key: string, value: string | Buffer): string {
  return `${key} is ${value.toString()}`;
}

function wholeOf(values: Readonly<Record<string, string | Buffer>>): string {
  return Object.entries(values)
    .map(([key, value]) => fingerprintOf(key, value))
    .join(', ');
}
