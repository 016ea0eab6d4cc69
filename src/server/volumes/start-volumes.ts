/** Puts the parts of volumes/ together. Callers: composition.ts. */
import type { NodeObject } from '../../api/node.ts';
import type { VolumeObject } from '../../api/volume.ts';
import { createMirror, type Mirror } from '../../store/mirror.ts';
import type { Spawner } from '../cluster/seat.ts';
import { createVolumeController } from './volume-controller.ts';
import { VOLUME_KIND } from './volume-record.ts';
import { createVolumeService, type VolumeService, type VolumeServiceDeps } from './volume-service.ts';

export function startVolumes(
  deps: VolumeServiceDeps & { readonly nodes: Mirror<NodeObject>; readonly stopper: Spawner; readonly lead?: Spawner },
): VolumeService {
  const volumes = createMirror<VolumeObject>({ ...deps, kind: VOLUME_KIND });
  deps.stopper.spawn('volume-mirror', (signal) => volumes.run(signal));
  const controller = createVolumeController({ ...deps, volumes });
  (deps.lead ?? deps.stopper).spawn('volume-controller', (signal) => controller.run(signal));
  return createVolumeService(deps);
}
