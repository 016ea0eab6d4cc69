/**
 * Restore: puts the state of a backup in the place of what a database has, as the beginning of another epoch.
 *
 * What agents and clients were told after the backup was made is not in it. So versions and assignment numbers go on far above any that
 * can have been given out meanwhile, and the epoch's id tells agents to hold on to what they run and the restored state does not know.
 * Callers  backup-commands.ts
 */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { readBackup } from '../../store/backup/backup-file.ts';
import type { BackupSummary } from '../../store/backup/backup-format.ts';
import { replaceStore, type Replacement } from '../../store/replace-store.ts';
import type { StoredObject } from '../../store/store.ts';
import { CLUSTER_KIND, newClusterRecord, type ClusterRecord } from '../cluster/cluster-record.ts';
import { HELD_KIND } from '../held/held-record.ts';

export interface RestoreDeps {
  readonly databaseUrl: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Versions for each millisecond since 1970: a store that wrote 10,000 changes a second all its life has not come there. */
const VERSIONS_PER_MS = 10;
/** Where the clock was wrong then, or is now. */
const LEAST_STEP = 1_000_000;

/** @throws {ApiError} Invalid for what is no whole backup; as `replaceStore`. Then nothing has changed */
export async function restore(path: string, deps: RestoreDeps): Promise<BackupSummary & Replacement> {
  const { clock, random } = deps;
  const nowMs = clock.wallMs();
  const restoredAt = new Date(nowMs).toISOString();
  let summary = await readBackup(path, () => undefined); // all of it, before anything is touched
  const version = Math.max(summary.version + LEAST_STEP, nowMs * VERSIONS_PER_MS);
  const { keptAs } = await replaceStore(deps.databaseUrl, deps, {
    aside: `before-restore-${restoredAt.replaceAll(/[-:.]/gu, '').toLowerCase()}`,
    write: async (put) => {
      let record: ClusterRecord | undefined;
      summary = await readBackup(path, async (object, json) => {
        if (object.kind === CLUSTER_KIND) {
          record = object;
        } else if (object.kind !== HELD_KIND) {
          requireVersion(path, object, summary.version);
          await put(object, json);
        }
      });
      const last = beginEpoch(record ?? newClusterRecord(random.uuid(), restoredAt), {
        version,
        epoch: { id: random.uuid(), restoredAt, backupAt: summary.createdAt, assignmentBase: Math.floor(nowMs / 1000) },
      });
      await put(last, JSON.stringify(last));
      return last;
    },
  });
  return { ...summary, keptAs };
}

function beginEpoch(
  record: ClusterRecord | ReturnType<typeof newClusterRecord>,
  { version, epoch }: { readonly version: number; readonly epoch: NonNullable<ClusterRecord['epoch']> },
): ClusterRecord {
  return { ...record, metadata: { ...record.metadata, updatedAt: epoch.restoredAt, resourceVersion: String(version) }, epoch };
}

function requireVersion(path: string, { kind, metadata }: StoredObject, newest: number): void {
  const version = Number(metadata.resourceVersion);
  if (!Number.isSafeInteger(version) || version < 1 || version > newest) {
    throw new ApiError(
      'Invalid',
      `Cannot use backup ${path} as it is damaged, take another one: ${kind} "${metadata.name}" has version ${metadata.resourceVersion}, the newest is ${newest}`,
    );
  }
}
