/**
 * Puts values in the place of references, for the very moment in which a container is made: pure. What comes out goes to the engine and
 * nowhere else; no message holds a value.
 */
import { ENV_NAME, matches } from '../../../api/names.ts';
import type { TarFile } from '../../docker/tar.ts';
import { StepError, type Failure } from '../failure.ts';
import type { SecretValues } from '../secret-cache.ts';
import type { SecretSetRef, SecretValueRef, ServiceInputs } from './service-inputs.ts';

/** Secret name -> values */
type Values = ReadonlyMap<string, SecretValues>;

/** Tells whether every value that is referred to is there, as it was when the server told of it. */
export function hasValues({ envFrom, env, files }: ServiceInputs, values: Values): boolean {
  return (
    envFrom.every(({ secret, fingerprint }) => values.get(secret)?.fingerprint === fingerprint) &&
    Object.values(env).every((ref) => findValue(ref, values) !== undefined) &&
    files.every(({ content }) => typeof content === 'string' || findValue(content, values) !== undefined)
  );
}

/** Why what is at hand makes no container, and never will: a value that can be no variable. Asked while the one before still runs. */
export function findInvalid(inputs: ServiceInputs, values: Values): Failure | undefined {
  try {
    resolveEnv(inputs, values);
    return undefined;
  } catch (error) {
    if (error instanceof StepError && error.reason === 'SecretInvalid') {
      return { reason: error.reason, message: error.message };
    }
    throw error;
  }
}

/** Variable -> value. @throws {StepError} SecretInvalid for what can be no variable; SecretUnavailable for what is not there */
export function resolveEnv({ envFrom, env }: ServiceInputs, values: Values): Readonly<Record<string, string>> {
  const sets = envFrom.flatMap((ref) => resolveSet(ref, values));
  const single = Object.entries(env).map(([name, ref]) => [name, toText(ref, getValue(ref, values))] as const);
  return Object.fromEntries([...sets, ...single]);
}

/** @throws {StepError} SecretUnavailable */
export function resolveFiles({ files }: ServiceInputs, values: Values): readonly TarFile[] {
  return files.map(({ path, mode, content }) => ({
    path,
    mode: Number.parseInt(mode, 8),
    content: typeof content === 'string' ? Buffer.from(content) : getValue(content, values),
  }));
}

function resolveSet({ secret, fingerprint, prefix }: SecretSetRef, all: Values): readonly (readonly [string, string])[] {
  const found = all.get(secret);
  if (found?.fingerprint !== fingerprint) {
    throw notAtHand(secret);
  }
  return [...found.values].map(([key, { bytes }]) => {
    const name = `${prefix}${key}`;
    if (!matches(ENV_NAME, name)) {
      const message = `Cannot take all of Secret "${secret}" as variables as its key "${key}" makes none: rename the key, give envFrom a prefix, or name the keys one by one`;
      throw new StepError('SecretInvalid', message);
    }
    return [name, toText({ secret, key }, bytes)] as const;
  });
}

function findValue({ secret, key, fingerprint }: SecretValueRef, values: Values): Buffer | undefined {
  const value = values.get(secret)?.values.get(key);
  return value?.fingerprint === fingerprint ? value.bytes : undefined;
}

function getValue(ref: SecretValueRef, values: Values): Buffer {
  const value = findValue(ref, values);
  if (value === undefined) {
    throw notAtHand(ref.secret);
  }
  return value;
}

function toText({ secret, key }: Pick<SecretValueRef, 'secret' | 'key'>, bytes: Buffer): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes('\0')) {
      return text;
    }
  } catch {
    // told below: the decoder's own words add nothing
  }
  const message = `Cannot put key "${key}" of Secret "${secret}" into a variable as it is no text: give it to the service as a file`;
  throw new StepError('SecretInvalid', message);
}

function notAtHand(secret: string): StepError {
  return new StepError('SecretUnavailable', `Cannot use Secret "${secret}" as its values have changed since the server told of them`);
}
