/** What an agent runs on with after a restore, though the restored state does not know it or not as it is: as the store keeps it. */
import type { HeldProject } from '../../api/project/held-project.ts';
import { API_VERSION } from '../../api/meta.ts';
import type { Draft, StoredObject } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

/** Internal: users see it through /api/v1/held-projects. Nothing of it outlives another restore. */
export const HELD_KIND = 'HeldProject';

export interface HeldRecord extends StoredObject {
  readonly node: string;
  readonly held: HeldProject;
}

export function heldName(node: string, project: string): string {
  return `${node}/${project}`;
}

export function newHeldRecord(
  node: string,
  held: HeldProject,
  { uid, now }: { readonly uid: string; readonly now: string },
): Draft<HeldRecord> {
  const name = heldName(node, held.metadata.name);
  return { apiVersion: API_VERSION, kind: HELD_KIND, metadata: newMeta(name, uid, now), node, held };
}
