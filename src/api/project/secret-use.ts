/**
 * Which Secrets a Project uses, and what of them; pure. Apart from project.ts, as agents need it without the schemas.
 *
 * Callers  the server: who may read a Secret, whom a change of it concerns. The agent: what to fetch before a container is made.
 */
import type { ProjectSpec } from '../project.ts';

export interface SecretUse {
  readonly name: string;
  /** those named one by one, sorted */
  readonly keys: readonly string[];
  /** whether a service takes all of them (envFrom), or images are pulled with it */
  readonly isWhole: boolean;
}

const NONE = [] as const;

/** What `spec` uses, sorted by name; each Secret once. */
export function listSecretUses({
  services,
  imagePullSecrets = [],
}: Pick<ProjectSpec, 'services' | 'imagePullSecrets'>): readonly SecretUse[] {
  let uses: Map<string, { readonly keys: Set<string>; isWhole: boolean }> | undefined; // most use none, and a server asks for all at its start
  const useOf = (name: string): { readonly keys: Set<string>; isWhole: boolean } => {
    uses ??= new Map();
    const use = uses.get(name) ?? { keys: new Set<string>(), isWhole: false };
    uses.set(name, use);
    return use;
  };
  for (const { env = NONE, files = NONE, envFrom = NONE } of services) {
    for (const { valueFrom } of env) {
      if (valueFrom?.secretKeyRef !== undefined) {
        useOf(valueFrom.secretKeyRef.name).keys.add(valueFrom.secretKeyRef.key);
      }
    }
    for (const { secretKeyRef } of files) {
      if (secretKeyRef !== undefined) {
        useOf(secretKeyRef.name).keys.add(secretKeyRef.key);
      }
    }
    for (const { secretRef } of envFrom) {
      useOf(secretRef.name).isWhole = true;
    }
  }
  for (const { name } of imagePullSecrets) {
    useOf(name).isWhole = true;
  }
  return uses === undefined
    ? NONE
    : [...uses]
        .map(([name, { keys, isWhole }]) => ({ name, keys: [...keys].toSorted(), isWhole }))
        .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}
