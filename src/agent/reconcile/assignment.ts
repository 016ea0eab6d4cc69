/** What the session hands to the reconciler and gets back from it. */
import type { ProjectObject, StatusReport } from '../../api/project.ts';
import type { ReportedVolume } from '../../api/volume.ts';

/** One Project as assigned to this node: the object as read from the server. Torn down where `metadata.deletedAt` is set or `isLeaving`. */
export interface Assignment {
  readonly project: ProjectObject;
}

/** Where a set of assignments comes from. What only the file says is kept up, but nothing is ever cleared away for it. */
export type AssignmentSource = 'server' | 'file';

/** The latest that is known of one Project; each replaces the one before. */
export interface ProjectReport {
  readonly project: string;
  readonly uid: string;
  readonly report: StatusReport;
}

/** Which volume is meant. */
export type VolumeIdentity = Pick<ReportedVolume, 'name' | 'project' | 'volume' | 'projectUid' | 'madeAt'>;

/** `refused`: a sentence on why it stays. */
export type VolumeRemoval = { readonly isGone: true } | { readonly isGone: false; readonly refused: string };

export interface Reconciler {
  /** The complete set (after a list): anything of ours that is not in it is unassigned. */
  assign(assignments: readonly Assignment[], source: AssignmentSource): void;
  /** One changed or added, as told by the server. */
  upsert(assignment: Assignment): void;
  /** Told by the server that this Project is no longer ours (deleted, or moved): its containers go at once. */
  remove(project: string, uid: string): void;
  /**
   * Removes a volume of this cluster that no Project here uses, however often it is asked for: only the one meant, not a later one of its name.
   * @throws {ApiError} Unavailable before the server has said what runs here; {EngineError} when the engine cannot do it now
   */
  removeVolume(meant: VolumeIdentity, signal: AbortSignal): Promise<VolumeRemoval>;
  /** Runs until aborted, then resolves; does nothing before the first `assign`. @throws when a loop of it crashes: a bug */
  run(signal: AbortSignal): Promise<void>;
}
