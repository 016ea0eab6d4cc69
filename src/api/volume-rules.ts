/** What is said of Volumes without their schemas, which agents and caractrl need not load. */
import type { ProjectObject } from './project.ts';
import type { ReportedVolume, VolumeObject } from './volume.ts';

/** How many volumes an agent reports at most. */
export const MAX_VOLUMES = 1000;

/** Tells whether two are the same volume, and not only of the same name. */
export function isSameVolume(
  left: Pick<ReportedVolume, 'name' | 'projectUid' | 'madeAt'>,
  right: Pick<ReportedVolume, 'name' | 'projectUid' | 'madeAt'>,
): boolean {
  return left.name === right.name && left.projectUid === right.projectUid && left.madeAt === right.madeAt;
}

/** Tells whether a deletion goes on. */
export function isBeingDeleted({ status }: VolumeObject): boolean {
  return status.deletion?.state === 'Pending' || status.deletion?.state === 'Removing';
}

/** Tells whether a Project's spec has the volume, by its name in the Project. */
export function hasVolume({ spec }: ProjectObject, volume: string): boolean {
  return spec.volumes?.some(({ name, type }) => name === volume && type !== 'HostPath') ?? false;
}
