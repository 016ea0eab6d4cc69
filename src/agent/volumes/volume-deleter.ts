/**
 * Volume deleter: removes the volumes of this node that a person asked to be deleted, each once, and says how it ended.
 *
 * Owns     nothing that must last: which deletions are open is the server's word, so that after a crash the same one is found again; that
 *          a volume is gone, or another has its name, ends it without a second removal.
 * Never    begins without the server's leave, nor goes on after the time that it gave.
 * Callers  ../composition.ts runs it.
 */
import { ApiError } from '../../api/errors.ts';
import { isBeingDeleted } from '../../api/volume-rules.ts';
import type { VolumeObject } from '../../api/volume.ts';
import { Backoff } from '../../base/backoff.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { VolumeClient } from '../../client/volume-client.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { Reconciler, VolumeRemoval } from '../reconcile/assignment.ts';
import { readLive } from '../session/live-stream.ts';
import { Outage } from '../outage.ts';

const BACKOFF = { baseMs: 500, capMs: 30_000 };
const ENGINE_RETRY_MS = 1000;
const MAX_MESSAGE = 1024; // as in the schema of DeletionUpdate

export interface VolumeDeleter {
  /** The server knows this node: looks for what is to be deleted. Nothing happens before the first call. */
  lookAnew(): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface VolumeDeleterOptions {
  readonly client: Pick<VolumeClient, 'watch' | 'updateDeletion'>;
  readonly nodeName: string;
  readonly remover: Pick<Reconciler, 'removeVolume'>;
  /** false while another machine holds the name of this node */
  readonly isWelcome: () => boolean;
  /** true while another machine of this identity may be up: then nothing is removed yet */
  readonly isHeld: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createVolumeDeleter(options: VolumeDeleterOptions): VolumeDeleter {
  const { client, nodeName, isWelcome, isHeld, clock, random, log } = options;
  const looking = new Wakeup();
  const outage = new Outage(log, clock, 'watch of volumes');
  const backoff = new Backoff(BACKOFF, random);
  let endedId: string | undefined; // what the watch still tells of it is old

  async function follow(signal: AbortSignal): Promise<void> {
    await readLive(
      {
        open: (inner) => client.watch({ nodeRef: nodeName, isDeleting: true }, inner),
        onItem: async (event) => {
          outage.recovered();
          backoff.reset();
          if (event.type !== 'ADDED' && event.type !== 'MODIFIED') {
            return;
          }
          const id = event.object.status.deletion?.id;
          if (isBeingDeleted(event.object) && id !== endedId && isWelcome()) {
            if (isHeld()) {
              throw new ApiError('Unavailable', 'Cannot remove a volume before it is sure that this machine is no copy of another');
            }
            await deleteOne(options, event.object, signal);
            endedId = id;
          }
        },
        what: 'volumes',
      },
      clock,
      signal,
    );
  }

  return {
    lookAnew: () => looking.notify(),
    run: async (signal) => {
      await looking.wait(clock, Infinity, signal);
      for (;;) {
        try {
          await follow(signal);
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof ApiError)) {
            throw error;
          }
          outage.failed(error);
        }
        await looking.wait(clock, backoff.nextMs(), signal);
      }
    },
  };
}

/** @throws {ApiError} when the server cannot be asked or told now: it will tell of this deletion again */
async function deleteOne(options: VolumeDeleterOptions, volume: VolumeObject, signal: AbortSignal): Promise<void> {
  const { client, nodeName, clock, log } = options;
  const { name, deletion } = volume.status;
  const id = deletion?.id ?? '';
  const askedAtMs = clock.monotonicMs(); // before the server counts
  let leftMs: number;
  try {
    leftMs = (await client.updateDeletion(nodeName, name, { id, state: 'Removing' }, signal))?.leftMs ?? 0;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 409)) {
      log.info({ volume: name, deletion: id, detail: error.message }, 'volume is not to be deleted any more');
      return;
    }
    throw error;
  }
  const removal = await removeInTime(options, volume, { untilMs: askedAtMs + leftMs, signal });
  if (removal.isGone) {
    log.info({ volume: name, project: volume.status.project, deletion: id }, 'volume removed');
  } else {
    log.warn({ volume: name, deletion: id, detail: removal.refused }, 'volume not removed');
  }
  const update = removal.isGone
    ? { id, state: 'Done' as const }
    : { id, state: 'Failed' as const, message: removal.refused.slice(0, MAX_MESSAGE) };
  try {
    await client.updateDeletion(nodeName, name, update, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) {
      throw error;
    }
  }
}

/** Tries until it is done, refused, or the time is up. */
async function removeInTime(
  { remover, clock }: VolumeDeleterOptions,
  { status }: VolumeObject,
  { untilMs, signal }: { readonly untilMs: number; readonly signal: AbortSignal },
): Promise<VolumeRemoval> {
  let why = 'there was no time left';
  using limit = withDeadline(clock, Math.max(0, untilMs - clock.monotonicMs()), signal);
  while (!limit.signal.aborted) {
    try {
      return await remover.removeVolume(status, limit.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineError && !error.isRetryable) {
        return { isGone: false, refused: error.message };
      }
      if (!limit.signal.aborted && !(error instanceof EngineError || error instanceof ApiError)) {
        throw error;
      }
      why = limit.signal.aborted ? why : (error as Error).message;
      await clock.sleep(ENGINE_RETRY_MS, limit.signal).catch(() => signal.throwIfAborted());
    }
  }
  return { isGone: false, refused: `Gave up as the time for it was up: ${why}` };
}
