/**
 * Held projects: what this node runs on with after the control plane was restored to an older state that does not know it, or not as it is.
 *
 * After a restore (another epoch) the first list of assignments is compared with what was assigned last. What the list lacks or has older
 * stays as it is here, and is told to the server, until a person decides: by `caractrl adopt`, or by any later change of that Project.
 * What the list has and this node never ran may have moved on since the backup: it waits until the other nodes had time to say so.
 *
 * Owns     which Projects are held, what the server has said of each, and under which epoch; kept in the assignment file.
 * Never    lets go of anything because a server forgot it.
 * Callers  held-keeper.ts, with each list and each change.
 */
import { isDeepStrictEqual } from 'node:util';
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';

/** ms; how long after the first list of an epoch what this node never ran waits. Longer than a fleet takes to come back. */
export const DELAY_MS = 120_000;

/** What the server had when a Project was first held; undefined: nothing of that name on this node. */
export interface Listed {
  readonly uid: string;
  readonly generation: number;
  readonly assignment: number;
}

/** As it is kept over restarts. */
export interface HeldRecord {
  /** "": the state was never restored, as far as this node knows */
  readonly epoch: string;
  readonly held: Readonly<Record<string, Listed | null>>;
  /** it knows of nothing that was assigned before the restore: what stands unassigned on the engine may be just that, and stays */
  readonly isSparing?: true;
}

export const NOTHING_HELD: HeldRecord = { epoch: '', held: {} };

export interface Taken {
  /** what is to be kept up */
  readonly projects: readonly ProjectObject[];
  readonly record: HeldRecord;
  /** names of what waits; a list is to be had again after DELAY_MS */
  readonly delayed: readonly string[];
}

interface ListFacts {
  /** as assigned last; undefined: that is not known */
  readonly known: readonly ProjectObject[] | undefined;
  readonly listed: readonly ProjectObject[];
  readonly epoch: Epoch | undefined;
  readonly record: HeldRecord;
  /** whether what was delayed has waited for long enough */
  readonly isDelayOver: boolean;
}

/** What a complete list comes to; pure. */
export function takeList({ known, listed, epoch, record, isDelayOver }: ListFacts): Taken {
  if (epoch === undefined || known === undefined) {
    const isSparing = epoch !== undefined && (record.isSparing === true || epoch.id !== record.epoch);
    return { projects: listed, record: { epoch: epoch?.id ?? '', held: {}, ...(isSparing && { isSparing }) }, delayed: [] };
  }
  const isFirst = epoch.id !== record.epoch;
  const before = new Map(known.map((project) => [project.metadata.name, project]));
  const byName = new Map(listed.map((project) => [project.metadata.name, project]));
  const held = new Map<string, Listed | null>();
  for (const project of known) {
    const { name } = project.metadata;
    const found = byName.get(name);
    const seen = isFirst ? undefined : record.held[name];
    if ((isFirst || seen !== undefined) && isToBeKept(project, found, { seen, base: epoch.assignmentBase })) {
      held.set(name, seen !== undefined ? seen : found === undefined ? null : toListed(found));
    }
  }
  const isDelayed = ({ metadata, status }: ProjectObject): boolean =>
    !before.has(metadata.name) && status.assignment <= epoch.assignmentBase && metadata.deletedAt === undefined;
  const delayed = isFirst || !isDelayOver ? listed.filter(isDelayed) : [];
  const taken = listed.filter((project) => !held.has(project.metadata.name) && !delayed.includes(project));
  const kept = known.filter((project) => held.has(project.metadata.name));
  const isSparing = !isFirst && record.isSparing === true;
  return {
    projects: [...taken, ...kept],
    record: { epoch: epoch.id, held: Object.fromEntries(held), ...(isSparing && { isSparing }) },
    delayed: delayed.map(({ metadata }) => metadata.name),
  };
}

/**
 * Whether what is here stays as it is, though the server says otherwise.
 * @param seen what the server had when it was first held, null for nothing; undefined: this is the first word of the epoch
 * @param base assignment numbers up to it were given out before the restore
 */
export function isToBeKept(
  here: ProjectObject,
  said: ProjectObject | undefined,
  { seen, base }: { readonly seen: Listed | null | undefined; readonly base: number },
): boolean {
  if (said === undefined) {
    return true;
  }
  if (said.status.assignment > base) {
    return false; // decided after the restore
  }
  if (said.metadata.uid !== here.metadata.uid) {
    return seen === undefined || seen?.uid === said.metadata.uid;
  }
  const isGoing = (project: ProjectObject): boolean => project.metadata.deletedAt !== undefined || isLeaving(project);
  if (isGoing(said) && !isGoing(here)) {
    return false; // asked for after the restore: it cannot have been taken back before
  }
  if (said.status.assignment >= here.status.assignment && isAlike(here, said)) {
    return false;
  }
  if (seen !== undefined && seen !== null) {
    return said.metadata.generation <= seen.generation;
  }
  return said.status.assignment === here.status.assignment
    ? said.metadata.generation <= here.metadata.generation
    : said.status.assignment < here.status.assignment;
}

/** Whether both come to the same containers. */
function isAlike(left: ProjectObject, right: ProjectObject): boolean {
  return isDeepStrictEqual(left.spec, right.spec) && isDeepStrictEqual(left.status.secrets ?? [], right.status.secrets ?? []);
}

export function toListed({ metadata, status }: ProjectObject): Listed {
  return { uid: metadata.uid, generation: metadata.generation, assignment: status.assignment };
}
