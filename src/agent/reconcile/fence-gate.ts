/** Fence gate: whether a Project may run here now: a port, so that the reconciler knows nothing of leases. Callers: target-keeper.ts. */
import type { ProjectObject } from '../../api/project.ts';

/**
 * `open`: as usual; `held`: what runs may run on, but nothing is started, as the server has not said yet whether the Project is still
 * here; `closed`: it must not run, as it may run elsewhere by now; `recalled`: this machine is a copy of another, and takes back what it
 * started before it knew.
 */
export type FenceState = 'open' | 'held' | 'closed' | 'recalled';

export interface FenceGate {
  stateOf(project: ProjectObject): FenceState;
  /** Takes note of the containers that the Project has. */
  note(project: ProjectObject, containerIds: readonly string[]): void;
  /** To be asked before each start of a container. @throws {StepError} Fenced */
  admit(project: ProjectObject, containerId: string, signal: AbortSignal): Promise<void>;
  /** Ids of the containers that are to be taken back where something is `recalled`. Default: none. */
  recalled?(): ReadonlySet<string>;
  /** Calls `listener` with a Project's name when its state may have changed. @returns how to stop that */
  subscribe(listener: (project: string) => void): () => void;
}

/** Where nothing is fenced. */
export const NO_FENCE: FenceGate = {
  stateOf: () => 'open',
  note: () => undefined,
  admit: () => Promise.resolve(),
  subscribe: () => () => undefined,
};
