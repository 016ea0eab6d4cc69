/** How what an agent holds differs from what the server knows, and what taking it in makes of the Project; pure. Callers: held-service.ts. */
import { isDeepStrictEqual } from 'node:util';
import type { HeldProject, HeldView } from '../../api/project/held-project.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import type { Draft } from '../../store/store.ts';
import { newObject } from '../objects/write-object.ts';
import { enter, initialStatus, settle } from '../projects/project-status.ts';

/** @param known the Project of that name; undefined: there is none. @returns undefined: nothing differs any more */
export function judgeHeld(
  node: string,
  held: HeldProject,
  known: ProjectObject | undefined,
): Pick<HeldView, 'reason' | 'message'> | undefined {
  if (known === undefined) {
    return { reason: 'Unknown', message: 'Runs on; the restored state does not know it' };
  }
  if (known.metadata.uid !== held.metadata.uid) {
    return { reason: 'Recreated', message: `Runs on; the name is another Project's now, with uid ${known.metadata.uid}` };
  }
  const { nodeRef, assignment } = known.status;
  if (nodeRef !== node || assignment !== held.assignment) {
    return { reason: 'Elsewhere', message: `Runs on; the restored state has it on ${nodeRef ?? 'no node'} under assignment ${assignment}` };
  }
  if (!isDeepStrictEqual(known.spec, held.spec)) {
    return {
      reason: 'Newer',
      message: `Runs on as generation ${held.metadata.generation}; the restored state has another spec, of generation ${known.metadata.generation}`,
    };
  }
  if (!isDeepStrictEqual(known.status.secrets ?? [], held.secrets ?? [])) {
    const names = (held.secrets ?? []).map(({ name }) => name).join(', ');
    return {
      reason: 'Newer',
      message: `Runs on with other values of its Secrets (${names}): apply them as they were, or its services are replaced`,
    };
  }
  return undefined;
}

/**
 * Whether the Project is bound to where it was before it moved: then the number that its agent has is the newer one, and where it runs is
 * where it is. @param base numbers up to it were given out before the restore
 */
export function isOutdatedBinding(
  node: string,
  held: HeldProject,
  { known, base }: { readonly known: ProjectObject; readonly base: number },
): boolean {
  const { metadata, status } = known;
  const isSame = metadata.uid === held.metadata.uid && metadata.deletedAt === undefined;
  return (
    isSame &&
    status.assignment < held.assignment &&
    held.assignment <= base &&
    !(status.nodeRef === node && status.assignment === held.assignment)
  );
}

/** The Project as where it runs says. Its spec stays. */
export function bindWhereItRuns(
  known: ProjectObject,
  { node, held, now }: { readonly node: string; readonly held: HeldProject; readonly now: string },
): ProjectObject {
  return {
    ...known,
    metadata: { ...known.metadata, updatedAt: now },
    status: placedStatus(known.status, { node, held, generation: known.metadata.generation, now }),
  };
}

/** The Project as its agent has it. @param known what is there of the same uid */
export function takeIn(
  known: ProjectObject | undefined,
  { node, held, now }: { readonly node: string; readonly held: HeldProject; readonly now: string },
): Draft<ProjectObject> {
  const { uid, name, labels, annotations, createdAt } = held.metadata;
  const isSameSpec = known !== undefined && isDeepStrictEqual(known.spec, held.spec);
  const generation = Math.max(held.metadata.generation, (known?.metadata.generation ?? 0) + (isSameSpec ? 0 : 1));
  const status = { ...(known?.status ?? initialStatus(now)), ...(held.secrets !== undefined && { secrets: held.secrets }) };
  const fresh = newObject<ProjectObject>({
    kind: 'Project',
    metadata: { name, labels, annotations },
    spec: held.spec,
    status: placedStatus(status, { node, held, generation, now }),
    uid,
    now,
  });
  return { ...fresh, metadata: { ...fresh.metadata, generation, createdAt } };
}

function placedStatus(
  status: ProjectStatus,
  { node, held, generation, now }: { readonly node: string; readonly held: HeldProject; readonly generation: number; readonly now: string },
): ProjectStatus {
  const { fence: _fence, move: _move, ...rest } = status;
  const cause = { reason: 'Adopted', message: `Runs on ${node}: waiting for its agent to report on it` };
  return settle({ ...enter(rest, 'Scheduled', cause), nodeRef: node, assignment: held.assignment, services: [] }, generation, now);
}
