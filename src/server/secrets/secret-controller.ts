/**
 * Secret controller: keeps `status.secrets` of every Project in step with the Secrets that there are, which is how a changed Secret
 * reaches the agents that run what uses it.
 *
 * Owns     `Project.status.secrets` after the write of a spec, and in memory which Projects to look at. With changed values a Project leaves
 *          Running, as with a changed spec: it does not run what is asked for until its agent says so.
 * Never    sees a value.
 * Callers  start-secrets.ts spawns `run`; the mirrors' changes wake it.
 */
import { hasReason } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { abortable } from '../../base/abortable.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import { inBatches } from '../../base/in-turns.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { markSecretsChanged } from '../projects/project-status.ts';
import type { SecretUsers } from './secret-users.ts';
import { presentSecret, type StoredSecret } from './stored-secret.ts';
import { haveSecretsChanged, withUsedSecrets } from './used-secrets.ts';

export interface SecretControllerDeps {
  readonly store: Store;
  readonly secrets: Mirror<StoredSecret>;
  readonly projects: Mirror<ProjectObject>;
  readonly users: SecretUsers;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface SecretController {
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<void>;
}

/** Commits under way at a time. */
const RETRY_MS = 1000; // the store does not answer, or somebody else wrote and the mirror has yet to tell

export function createSecretController(deps: SecretControllerDeps): SecretController {
  const log = deps.log.child({ component: 'secret-controller' });
  return { run: (signal) => runController({ ...deps, log }, signal) };
}

async function runController(deps: SecretControllerDeps, signal: AbortSignal): Promise<void> {
  const { secrets, projects, clock } = deps;
  await abortable(Promise.all([secrets.ready(), projects.ready()]), signal);
  const wakeup = new Wakeup();
  const dirty = new Set<string>(projects.items().keys());
  const unsubscribe = follow(deps, dirty, wakeup);
  try {
    for (;;) {
      signal.throwIfAborted();
      const due = [...dirty];
      dirty.clear();
      const look = async (name: string): Promise<void> => {
        if (!(await reconcileProject(deps, name))) {
          dirty.add(name);
        }
      };
      await inBatches(due, look, clock, signal); // after a start all are due
      await wakeup.wait(clock, dirty.size > 0 ? RETRY_MS : Infinity, signal);
    }
  } finally {
    unsubscribe();
  }
}

function follow({ secrets, projects, users }: SecretControllerDeps, dirty: Set<string>, wakeup: Wakeup): () => void {
  const stopSecrets = secrets.onChange(({ object }) => {
    users.usersOf(object.metadata.name).forEach((name) => dirty.add(name));
    wakeup.notify();
  });
  const stopProjects = projects.onChange(({ type, object }) => {
    if (type !== 'DELETED' && object.status.secrets !== undefined) {
      dirty.add(object.metadata.name); // one that was written while a Secret changed; what uses none needs no look
      wakeup.notify();
    }
  });
  return () => {
    stopSecrets();
    stopProjects();
  };
}

/** One look at one Project. @returns whether it needs no other look for now */
async function reconcileProject({ store, secrets, projects, clock, log }: SecretControllerDeps, name: string): Promise<boolean> {
  const project = projects.get(name);
  if (project === undefined) {
    return true;
  }
  const next = withUsedSecrets(project, (secret) => {
    const found = secrets.get(secret);
    return found && presentSecret(found);
  });
  if (next === project) {
    return true;
  }
  try {
    const now = nowRfc3339(clock);
    const status = haveSecretsChanged(project.status.secrets, next.status.secrets) ? markSecretsChanged(next, now) : next.status;
    const object = { ...next, metadata: { ...next.metadata, updatedAt: now }, status };
    await store.commit([{ op: 'update', object, expectedVersion: project.metadata.resourceVersion }]);
    log.info({ project: name, secrets: next.status.secrets?.map((secret) => secret.name) }, 'secrets of project changed');
    return true;
  } catch (error) {
    if (hasReason(error, 'NotFound')) {
      return true;
    }
    if (!hasReason(error, 'Conflict')) {
      log.error({ err: error, project: name }, 'secrets of project cannot be written');
    }
    return false;
  }
}
