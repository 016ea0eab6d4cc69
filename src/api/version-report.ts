/** What /api/v1/version answers. */
import Type, { type Static } from 'typebox';
import { Closed, Timestamp } from './meta.ts';

/** Since when the control plane's state is one that was restored from a backup: what agents know may be newer. */
export const EpochSchema = Closed({
  id: Type.String({ description: 'Another one after each restore' }),
  restoredAt: Timestamp,
  backupAt: Timestamp,
  assignmentBase: Type.Integer({ description: 'Assignment numbers up to it were given out before' }),
});
export type Epoch = Readonly<Static<typeof EpochSchema>>;

export const VersionReport = Closed({
  version: Type.String(),
  apiVersion: Type.String(),
  clusterId: Type.String(),
  epoch: Type.Optional(EpochSchema),
});
