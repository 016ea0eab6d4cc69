/** Removes a volume that a person named. Callers: reconciler.ts, which keeps the Project's own loop still meanwhile. */
import { isSameVolume } from '../../api/volume-rules.ts';
import type { VolumeSummary } from '../docker/docker-types.ts';
import { hasEngineReason } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import { findVolumeOwner, LABEL } from '../docker/names.ts';
import type { VolumeIdentity, VolumeRemoval } from './assignment.ts';

/** What tells a volume of ours from another of its name; undefined: not this cluster's. */
export function identify({ name, labels }: VolumeSummary, cluster: string): VolumeIdentity | undefined {
  const owner = findVolumeOwner(labels);
  if (owner?.cluster !== cluster) {
    return undefined;
  }
  const { project, projectUid, volume } = owner;
  const madeAt = labels[LABEL.madeAt];
  return { name, project, projectUid, volume, ...(madeAt !== undefined && { madeAt }) };
}

/** @throws {EngineError} when the engine cannot do it now */
export async function removeMeant(
  engine: Engine,
  { meant, cluster }: { readonly meant: VolumeIdentity; readonly cluster: string },
  signal: AbortSignal,
): Promise<VolumeRemoval> {
  const volume = await engine.inspectVolume(meant.name, signal);
  if (volume === undefined) {
    return { isGone: true };
  }
  const found = identify(volume, cluster);
  if (found === undefined) {
    return { isGone: false, refused: `The volume ${JSON.stringify(meant.name)} on the node is not this cluster's` };
  }
  if (!isSameVolume(found, meant)) {
    return { isGone: true }; // another has its name by now
  }
  try {
    await engine.removeVolume(meant.name, signal);
  } catch (error) {
    if (hasEngineReason(error, 'Conflict')) {
      return { isGone: false, refused: `A container on the node still has it: ${error.message}` };
    }
    throw error;
  }
  return { isGone: true };
}
