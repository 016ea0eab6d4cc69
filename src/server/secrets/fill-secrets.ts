/** Reads the Secrets that a Project uses into its status, for the very write that brings its spec. Callers: project-service.ts. */
import type { ProjectObject } from '../../api/project.ts';
import { listSecretUses } from '../../api/project/secret-use.ts';
import type { Store } from '../../store/store.ts';
import { presentSecret, SECRET_KIND, type StoredSecret } from './stored-secret.ts';
import { withUsedSecrets } from './used-secrets.ts';

/** A Secret that changes at the same moment is the secret controller's to follow up. */
export async function fillUsedSecrets<Project extends Pick<ProjectObject, 'spec' | 'status'>>(
  store: Store,
  project: Project,
): Promise<Project> {
  const names = listSecretUses(project.spec).map(({ name }) => name);
  const found = await Promise.all(names.map(async (name) => await store.get<StoredSecret>(SECRET_KIND, name)));
  const secrets = new Map(found.flatMap((secret) => (secret === undefined ? [] : [[secret.metadata.name, presentSecret(secret)]])));
  return withUsedSecrets(project, (name) => secrets.get(name));
}
