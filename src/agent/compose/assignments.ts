/** The ways by which what is assigned reaches those that keep it up, put together. Callers: ../composition.ts. */
import type { AssignmentFile } from '../assignment-file.ts';
import type { Identity } from '../identity.ts';
import type { AssignmentSink } from '../session/assignment-watcher.ts';
import type { DroppedProjects } from '../session/dropped-projects.ts';
import type { HeldKeeper } from '../session/held-keeper.ts';
import type { SelfFence } from '../session/self-fence.ts';
import type { StandingCell } from '../session/standing.ts';
import type { StatusReporter } from '../session/status-reporter.ts';
import type { Supervision } from '../session/supervision.ts';

/** Those that keep assignments up; the fence is told first, as the reconciler asks it. */
interface Keepers {
  readonly supervision: Supervision;
  readonly fence: SelfFence;
}

/** Keeps up what was assigned when the agent last ran, before anyone has been asked. */
export async function resume(identity: Identity, file: AssignmentFile, { supervision, fence }: Keepers): Promise<void> {
  const clusterId = identity.clusterId();
  if (clusterId === undefined) {
    return;
  }
  supervision.adopt(clusterId);
  const projects = await file.read(clusterId);
  if (projects !== undefined) {
    fence.assign(projects, 'file');
    supervision.assign(
      projects.map((project) => ({ project })),
      'file',
    );
  }
}

export function toSink(
  { supervision, fence, held, dropped }: Keepers & { readonly held: HeldKeeper; readonly dropped: DroppedProjects },
  reporter: StatusReporter,
  file: AssignmentFile,
): AssignmentSink {
  return {
    replaceAll: (clusterId, listed, epoch) => {
      const projects = held.takeList(clusterId, listed, epoch);
      fence.assign(projects, 'server');
      supervision.assign(
        projects.map((project) => ({ project })),
        'server',
      );
      const uids = new Set(projects.map(({ metadata }) => metadata.uid));
      dropped.ask(file.list().filter(({ metadata }) => !uids.has(metadata.uid)));
      file.replaceAll(clusterId, projects);
      projects.filter(({ metadata }) => !held.isHeld(metadata.name)).forEach((project) => reporter.compare(project));
    },
    put: (project) => {
      if (!held.takes(project)) {
        return;
      }
      fence.put(project);
      supervision.upsert({ project });
      file.put(project);
      reporter.compare(project);
    },
    remove: (project, uid) => {
      if (!held.takesRemoval(project, uid)) {
        return;
      }
      reporter.forget(uid);
      supervision.remove(project, uid);
      fence.remove(uid);
      file.delete(project, uid);
    },
  };
}

/** While another machine holds the name, what is assigned to it is that one's; each registration is followed by a fresh list. */
export function whileWelcome(standing: StandingCell, sink: AssignmentSink): AssignmentSink {
  const isWelcome = (): boolean => standing.current !== 'refused';
  return {
    replaceAll: (clusterId, projects, epoch) => (isWelcome() ? sink.replaceAll(clusterId, projects, epoch) : undefined),
    put: (project) => (isWelcome() ? sink.put(project) : undefined),
    remove: (project, uid) => (isWelcome() ? sink.remove(project, uid) : undefined),
  };
}
