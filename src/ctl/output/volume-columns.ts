/** The table of Volumes. */
import type { VolumeObject } from '../../api/volume.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';
import { formatSize } from './secret-columns.ts';

export const VOLUME_COLUMNS: readonly Column<VolumeObject>[] = [
  { header: 'NODE', cell: ({ status }) => status.node },
  { header: 'NAME', cell: ({ status }) => status.name },
  { header: 'PROJECT', cell: ({ status }) => status.project },
  { header: 'TYPE', cell: ({ status }) => status.type },
  { header: 'AGE', cell: ({ status, metadata }, nowMs) => ageOf(status.madeAt ?? metadata.createdAt, nowMs) },
  { header: 'IN USE', cell: ({ status }) => describeUse(status) },
  { header: 'VOLUME', isWide: true, cell: ({ status }) => status.volume },
  // no engine tells it cheaply yet
  { header: 'SIZE', isWide: true, cell: ({ status }) => (status.sizeBytes === undefined ? '-' : formatSize(status.sizeBytes)) },
  { header: 'DELETION', isWide: true, cell: ({ status }) => status.deletion?.message ?? status.deletion?.state ?? '-' },
];

function describeUse({ inUse, deletion }: VolumeObject['status']): string {
  if (deletion?.state === 'Pending' || deletion?.state === 'Removing') {
    return 'being deleted';
  }
  return inUse === true ? 'yes' : 'no';
}
