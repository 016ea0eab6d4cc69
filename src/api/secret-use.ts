/**
 * Which Secrets a Project uses, and what of them; pure. Apart from project.ts, as agents need it without the schemas.
 *
 * Callers  the server: who may read a Secret, whom a change of it concerns. The agent: what to fetch before a container is made.
 */
import type { ProjectSpec, Service } from './project.ts';

export interface SecretUse {
  readonly name: string;
  /** those named one by one, sorted */
  readonly keys: readonly string[];
  /** whether a service takes all of them (envFrom), or images are pulled with it */
  readonly isWhole: boolean;
}

/** What `spec` uses, sorted by name; each Secret once. */
export function listSecretUses({
  services,
  imagePullSecrets = [],
}: Pick<ProjectSpec, 'services' | 'imagePullSecrets'>): readonly SecretUse[] {
  const uses = new Map<string, { readonly keys: Set<string>; isWhole: boolean }>();
  const useOf = (name: string): { readonly keys: Set<string>; isWhole: boolean } => {
    const use = uses.get(name) ?? { keys: new Set<string>(), isWhole: false };
    uses.set(name, use);
    return use;
  };
  for (const service of services) {
    for (const { name, key } of keyRefsOf(service)) {
      useOf(name).keys.add(key);
    }
    for (const { secretRef } of service.envFrom ?? []) {
      useOf(secretRef.name).isWhole = true;
    }
  }
  for (const { name } of imagePullSecrets) {
    useOf(name).isWhole = true;
  }
  return [...uses]
    .map(([name, { keys, isWhole }]) => ({ name, keys: [...keys].toSorted(), isWhole }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function keyRefsOf({ env = [], files = [] }: Service): readonly { readonly name: string; readonly key: string }[] {
  return [...env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []), ...files.flatMap(({ secretKeyRef }) => secretKeyRef ?? [])];
}
