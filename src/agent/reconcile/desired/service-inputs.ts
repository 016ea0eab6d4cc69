/**
 * Service inputs: what a container is given beside its spec, values of Secrets and files. Here are references and fingerprints alone, so
 * that a plan, a config hash or a log line never holds a value: pure.
 *
 * The fingerprints are those that the server put into the Project's status. They are part of the config hash: a changed value replaces
 * the container, and after a restart the agent knows without the server, and without any value, that a container is what was asked for.
 */
import type { ProjectStatus, Service } from '../../../api/project.ts';
import type { Failure } from '../failure.ts';

/** One value of a Secret, as it was when the server last told. */
export interface SecretValueRef {
  readonly secret: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** All values of a Secret as variables. */
export interface SecretSetRef {
  readonly secret: string;
  readonly fingerprint: string;
  readonly prefix: string;
}

export interface InputFile {
  readonly path: string;
  /** octal digits */
  readonly mode: string;
  readonly content: string | SecretValueRef;
}

export interface ServiceInputs {
  /** a later one goes before an earlier one */
  readonly envFrom: readonly SecretSetRef[];
  /** variable -> where its value is; goes before `envFrom` */
  readonly env: Readonly<Record<string, SecretValueRef>>;
  readonly files: readonly InputFile[];
}

export interface DerivedInputs {
  /** undefined: it has none, or not all of their fingerprints are known */
  readonly inputs: ServiceInputs | undefined;
  /** why no container can be made now; one that runs may run on */
  readonly missing: Failure | undefined;
  /** why it cannot even be told what the container should be */
  readonly failure: Failure | undefined;
}

const DEFAULT_MODE = '0444'; // services often run as another user than root, who owns the file

export function deriveInputs(service: Service, secrets: ProjectStatus['secrets'] = []): DerivedInputs {
  const lookup = new SecretLookup(service.name, secrets);
  const variables = (service.env ?? []).flatMap(({ name, valueFrom }) =>
    valueFrom === undefined ? [] : [[name, lookup.value(valueFrom.secretKeyRef)] as const],
  );
  const inputs: ServiceInputs = {
    envFrom: (service.envFrom ?? []).map(({ secretRef, prefix = '' }) => ({ ...lookup.whole(secretRef.name), prefix })),
    env: Object.fromEntries(variables),
    files: (service.files ?? []).map(({ mountPath, mode = DEFAULT_MODE, content = '', secretKeyRef }) => ({
      path: mountPath,
      mode,
      content: secretKeyRef === undefined ? content : lookup.value(secretKeyRef),
    })),
  };
  const isEmpty = inputs.envFrom.length + variables.length + inputs.files.length === 0;
  return { inputs: isEmpty || lookup.failure !== undefined ? undefined : inputs, missing: lookup.missing, failure: lookup.failure };
}

/** Names of the Secrets that it refers to, each once. */
export function listSecrets({ envFrom, env, files }: ServiceInputs): readonly string[] {
  const refs = [...envFrom, ...Object.values(env), ...files.flatMap(({ content }) => (typeof content === 'string' ? [] : [content]))];
  return [...new Set(refs.map(({ secret }) => secret))];
}

/** The fingerprints of one Project's Secrets; notes the first thing that is missing, and the first that was never known. */
class SecretLookup {
  readonly #service: string;
  readonly #secrets: NonNullable<ProjectStatus['secrets']>;
  missing: Failure | undefined;
  failure: Failure | undefined;

  constructor(service: string, secrets: NonNullable<ProjectStatus['secrets']>) {
    this.#service = service;
    this.#secrets = secrets;
  }

  whole(name: string): Omit<SecretSetRef, 'prefix'> {
    const secret = this.#secrets.find((used) => used.name === name);
    const isThere = secret !== undefined && secret.missing !== true;
    return { secret: name, fingerprint: this.#note(secret?.fingerprint, isThere ? undefined : this.#noSecret(name)) };
  }

  value({ name, key }: { readonly name: string; readonly key: string }): SecretValueRef {
    const secret = this.#secrets.find((used) => used.name === name);
    const value = secret?.keys.find((used) => used.name === key);
    return { secret: name, key, fingerprint: this.#note(value?.fingerprint, this.#whyNot(name, key)) };
  }

  #whyNot(name: string, key: string): string | undefined {
    const secret = this.#secrets.find((used) => used.name === name);
    if (secret === undefined || secret.missing === true) {
      return this.#noSecret(name);
    }
    const value = secret.keys.find((used) => used.name === key);
    return value === undefined || value.missing === true ? `Secret "${name}" has no key "${key}": add it` : undefined;
  }

  #noSecret(name: string): string {
    return `Secret "${name}" does not exist: create it, as with caractrl create secret generic ${name} --from-file KEY=FILE`;
  }

  /** @param why set when it is not there */
  #note(fingerprint: string | undefined, why: string | undefined): string {
    if (why !== undefined || fingerprint === undefined) {
      const words = why ?? 'the server has not told yet what its Secrets are';
      const failure: Failure = { reason: 'SecretNotFound', message: `Cannot start service "${this.#service}" as ${words}` };
      this.missing ??= failure;
      this.failure ??= fingerprint === undefined ? failure : undefined;
    }
    return fingerprint ?? '';
  }
}
