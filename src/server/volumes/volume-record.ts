/** Volume records: what a report and a request make of them: pure. Callers: volume-service.ts, volume-controller.ts. */
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../api/meta.ts';
import type { ProjectObject } from '../../api/project.ts';
import { hasVolume, isSameVolume } from '../../api/volume-rules.ts';
import type { ReportedVolume, VolumeDeletion, VolumeObject } from '../../api/volume.ts';
import type { Write } from '../../store/store.ts';
import { deletionOf, newMeta } from '../objects/record.ts';

export const VOLUME_KIND = 'Volume';

/** Node names have no slash, so that all of one node stand together in the order of names. */
export function recordName(node: string, volume: string): string {
  return `${node}/${volume}`;
}

export interface Stamp {
  readonly now: string;
  readonly newUid: () => string;
}

/** The writes that make the records of `node` say what it reported; none when they do. What another took the place of is another record. */
export function writesOfReport(
  node: string,
  { existing, reported }: { readonly existing: readonly VolumeObject[]; readonly reported: readonly ReportedVolume[] },
  stamp: Stamp,
): readonly Write[] {
  const byName = new Map(reported.map((volume) => [volume.name, volume]));
  const known = new Map(existing.map((record) => [record.status.name, record]));
  const gone = existing.filter(({ status }) => {
    const volume = byName.get(status.name);
    return volume === undefined || !isSameVolume(volume, status);
  });
  const news = [...byName.values()].flatMap((volume): readonly Write[] => {
    const record = known.get(volume.name);
    if (record === undefined || gone.includes(record)) {
      return [{ op: 'create', object: newRecord(node, volume, stamp) }];
    }
    const { deletion } = record.status;
    const status = { ...volume, node, ...(deletion !== undefined && { deletion }) };
    return isDeepStrictEqual(record.status, status) ? [] : [updateOf(record, status, stamp.now)];
  });
  return [...gone.map(deletionOf), ...news];
}

function newRecord(node: string, volume: ReportedVolume, { now, newUid }: Stamp) {
  const name = recordName(node, volume.name);
  return { apiVersion: API_VERSION, kind: VOLUME_KIND, metadata: newMeta(name, newUid(), now), status: { ...volume, node } };
}

export function updateOf(record: VolumeObject, status: VolumeObject['status'], now: string): Write {
  const metadata = { ...record.metadata, updatedAt: now };
  return {
    op: 'update',
    object: { ...record, metadata, status } as VolumeObject,
    expectedVersion: record.metadata.resourceVersion,
  };
}

/** The record with how its deletion stands now. */
export function withDeletion(record: VolumeObject, change: Partial<VolumeDeletion>, now: string): Write {
  const { deletion, ...rest } = record.status;
  return updateOf(record, { ...rest, deletion: { ...(deletion as VolumeDeletion), ...change } }, now);
}

/** Why the volume may not go: the Project that has it in its spec and is on the node, or may yet come to it; undefined: none. */
export function findUse({ status }: VolumeObject, project: ProjectObject | undefined): 'on the node' | 'without a node' | undefined {
  if (project === undefined || !hasVolume(project, status.volume)) {
    return undefined;
  }
  const { nodeRef } = project.status;
  return nodeRef === undefined ? 'without a node' : nodeRef === status.node ? 'on the node' : undefined;
}
