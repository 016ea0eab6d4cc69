/**
 * What a Project's status says of the Secrets that it uses; pure.
 *
 * Agents replace a container when a fingerprint that concerns it changes, and make none while something is missing. What is missing keeps
 * the fingerprint that it had, so that deleting a Secret touches nothing that runs.
 * Callers  fill-secrets.ts (with each new spec), secret-controller.ts (when a Secret changes).
 */
import { isDeepStrictEqual } from 'node:util';
import type { ProjectObject, UsedSecret } from '../../api/project.ts';
import type { SecretObject } from '../../api/secret.ts';
import { listSecretUses, type SecretUse } from '../../api/project/secret-use.ts';

/** The Project with the Secrets of its spec in its status; the very same object where nothing changes. */
export function withUsedSecrets<Project extends Pick<ProjectObject, 'spec' | 'status'>>(
  project: Project,
  find: (name: string) => SecretObject | undefined,
): Project {
  const { secrets: before, ...status } = project.status;
  const secrets = listSecretUses(project.spec).map((use) =>
    describeUse(
      use,
      find(use.name),
      before?.find(({ name }) => name === use.name),
    ),
  );
  if (secrets.length === 0) {
    return before === undefined ? project : { ...project, status };
  }
  return isDeepStrictEqual(secrets, before) ? project : { ...project, status: { ...status, secrets } };
}

/** Whether values are others than they were; what is missing keeps its fingerprint, and so has not changed. */
export function haveSecretsChanged(before: readonly UsedSecret[] = [], after: readonly UsedSecret[] = []): boolean {
  const valuesOf = (secrets: readonly UsedSecret[]): unknown =>
    secrets.map(({ name, fingerprint, keys }) => [name, fingerprint, keys.map((key) => [key.name, key.fingerprint])]);
  return !isDeepStrictEqual(valuesOf(before), valuesOf(after));
}

function describeUse({ name, keys, isWhole }: SecretUse, secret: SecretObject | undefined, before: UsedSecret | undefined): UsedSecret {
  const whole = secret?.status.fingerprint ?? before?.fingerprint;
  return {
    name,
    ...(secret === undefined && { missing: true }),
    ...(isWhole && whole !== undefined && { fingerprint: whole }),
    keys: keys.map((key) => {
      const current = secret?.status.keys.find((status) => status.name === key)?.fingerprint;
      const fingerprint = current ?? before?.keys.find((status) => status.name === key)?.fingerprint;
      return { name: key, ...(current === undefined && { missing: true }), ...(fingerprint !== undefined && { fingerprint }) };
    }),
  };
}
