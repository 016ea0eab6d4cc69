/**
 * Volume reporter: tells the server which volumes of its cluster there are on this node.
 *
 * Owns     what is there by the last look, and what the server was told last: only changes are sent.
 * Never    looks at the engine itself: the reconciler's look at everything, which it takes anyway, brings the list.
 * Callers  ../compose/supervise.ts; the reconciler notes, the session asks to tell anew.
 */
import { ApiError } from '../../api/errors.ts';
import { MAX_VOLUMES } from '../../api/volume-rules.ts';
import type { ReportedVolume } from '../../api/volume.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { VolumeClient } from '../../client/volume-client.ts';
import type { VolumeSummary } from '../docker/docker-types.ts';
import { findVolumeOwner, LABEL } from '../docker/names.ts';
import { Outage } from '../outage.ts';

const BACKOFF = { baseMs: 1000, capMs: 60_000 };
const GAP_MS = 1000; // between two reports, however often something changes

export interface VolumeReporter {
  /** Takes in all volumes of this cluster. */
  note(volumes: readonly VolumeSummary[]): void;
  /** The server may have forgotten: tells it all again. Nothing is told before the first call. */
  tellAgain(): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface VolumeReporterOptions {
  readonly client: Pick<VolumeClient, 'report'>;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createVolumeReporter({ client, nodeName, clock, random, log }: VolumeReporterOptions): VolumeReporter {
  const wakeup = new Wakeup();
  const outage = new Outage(log, clock, 'reports of volumes');
  const backoff = new Backoff(BACKOFF, random);
  let volumes: readonly ReportedVolume[] | undefined;
  let told: string | undefined;
  let mayTell = false;

  async function tell(signal: AbortSignal): Promise<number> {
    const text = JSON.stringify(volumes);
    if (volumes === undefined || !mayTell || text === told) {
      return Infinity;
    }
    try {
      await client.report(nodeName, { volumes: [...volumes] }, signal);
      told = text;
      outage.recovered();
      backoff.reset();
      return GAP_MS;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ApiError)) {
        throw error;
      }
      outage.failed(error);
      return error.retryAfterMs ?? backoff.nextMs();
    }
  }

  return {
    note: (found) => {
      volumes = toReport(found);
      wakeup.notify();
    },
    tellAgain: () => {
      told = undefined;
      mayTell = true;
      wakeup.notify();
    },
    run: async (signal) => {
      for (;;) {
        const waitMs = await tell(signal);
        await (waitMs === Infinity ? wakeup.wait(clock, Infinity, signal) : clock.sleep(waitMs, signal));
      }
    },
  };
}

/** Managed ones first where there are too many to tell of all. */
function toReport(found: readonly VolumeSummary[]): readonly ReportedVolume[] {
  const known = found.flatMap(({ name, labels }) => {
    const owner = findVolumeOwner(labels);
    if (owner === undefined) {
      return [];
    }
    const madeAt = labels[LABEL.madeAt];
    const type = owner.volumeType === 'Managed' ? ('Managed' as const) : ('Ephemeral' as const);
    const { project, projectUid, volume } = owner;
    return [{ name, project, projectUid, volume, type, ...(madeAt !== undefined && { madeAt }) }];
  });
  return known
    .toSorted((left, right) => Number(right.type === 'Managed') - Number(left.type === 'Managed') || (left.name < right.name ? -1 : 1))
    .slice(0, MAX_VOLUMES);
}
