/** Whether a Project has heard of Secrets that were applied together with it: pure. */
import type { ProjectObject } from '../../api/project.ts';
import type { SecretObject } from '../../api/secret.ts';

/** Whether the Project's status speaks of the Secrets as they are now: until then it may still be Running with what they were. */
export function knowsSecrets({ status }: ProjectObject, secrets: readonly SecretObject[]): boolean {
  return (status.secrets ?? []).every(({ name, fingerprint, keys, missing }) => {
    const secret = secrets.find(({ metadata }) => metadata.name === name);
    const isCurrent = (key: (typeof keys)[number]): boolean => {
      const now = secret?.status.keys.find((other) => other.name === key.name);
      return now === undefined ? key.missing === true : key.fingerprint === now.fingerprint;
    };
    const isWhole = fingerprint === undefined || fingerprint === secret?.status.fingerprint;
    return secret === undefined || (missing !== true && isWhole && keys.every(isCurrent));
  });
}
