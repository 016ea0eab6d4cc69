/**
 * Secret users: which Projects use a Secret, so that neither a change of one nor an agent's question looks at the whole fleet.
 *
 * Owns     Secret name -> Project names, from the mirror of Projects; in memory.
 * Callers  secret-controller.ts, http/routes/secrets.ts
 */
import type { ProjectObject } from '../../api/project.ts';
import { listSecretUses } from '../../api/project/secret-use.ts';
import type { Mirror } from '../../store/mirror.ts';

export interface SecretUsers extends Disposable {
  /** Names of the Projects whose spec uses it, whether or not there is a Secret of that name; sorted. */
  usersOf(secret: string): readonly string[];
  /** Whether a Project that is bound to the node, and is not being deleted, uses it. */
  isUsedOn(secret: string, node: string): boolean;
}

/** Call before `projects` runs: it must see where its first list ends. */
export function createSecretUsers(projects: Mirror<ProjectObject>): SecretUsers {
  const usersBySecret = new Map<string, Set<string>>();
  const secretsByUser = new Map<string, readonly string[]>();

  function note(project: string, secrets: readonly string[]): void {
    for (const secret of secretsByUser.get(project) ?? []) {
      const users = usersBySecret.get(secret);
      users?.delete(project);
      if (users?.size === 0) {
        usersBySecret.delete(secret);
      }
    }
    for (const secret of secrets) {
      usersBySecret.set(secret, (usersBySecret.get(secret) ?? new Set()).add(project));
    }
    if (secrets.length === 0) {
      secretsByUser.delete(project);
    } else {
      secretsByUser.set(project, secrets);
    }
  }

  const unsubscribe = projects.onChange(({ type, object }) =>
    note(object.metadata.name, type === 'DELETED' ? [] : listSecretUses(object.spec).map(({ name }) => name)),
  );
  return {
    usersOf: (secret) => [...(usersBySecret.get(secret) ?? [])].toSorted(),
    isUsedOn: (secret, node) =>
      usersBySecret
        .get(secret)
        ?.values()
        .some((name) => {
          const project = projects.get(name);
          return project?.status.nodeRef === node && project.metadata.deletedAt === undefined;
        }) ?? false,
    [Symbol.dispose]: unsubscribe,
  };
}
