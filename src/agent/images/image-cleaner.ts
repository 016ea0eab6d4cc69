/**
 * Image cleaner: takes images off the node that this agent brought and no Project needs, daily, and sooner when the disk runs low.
 *
 * Never    removes what an assigned Project uses or used before, what any container is made of, what was pulled within the hour (its
 *          container may be about to be made), or anything that somebody else brought, or gave a name of their own; forces anything.
 * Callers  image-keeping.ts runs it, and wakes it when a pull meets a full disk.
 */
import type { ProjectObject } from '../../api/project.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { jitter, type Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { ImageSummary } from '../docker/docker-types.ts';
import { hasEngineReason } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import { Outage } from '../outage.ts';
import type { ImageLedger } from './image-ledger.ts';

const DAY_MS = 86_400_000;
const FIRST_MS = 3_600_000; // after the start: an agent that is restarted daily cleans up too
const PRESSURE_LOOK_MS = 60_000;
const PRESSURE_INTERVAL_MS = 600_000; // between two runs on a disk that stays full
const TIME_LIMIT_MS = 300_000; // removing big images from a slow disk takes minutes; the rest waits for the next run
const YOUNG_MS = 3_600_000;

export interface ImageCleanerOptions {
  readonly engine: Pick<Engine, 'listImages' | 'listContainers' | 'inspectImage' | 'removeImage'>;
  readonly ledger: ImageLedger;
  /** Undefined while it is not known what is assigned: then nothing is cleaned up. */
  readonly assigned: () => readonly ProjectObject[] | undefined;
  readonly isUnderPressure: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface CleanUp {
  readonly removed: number;
  /** At most: layers shared with other images stay. */
  readonly freedBytes: number;
}

export class ImageCleaner {
  readonly #options: ImageCleanerOptions;
  readonly #wakeup = new Wakeup();
  #isDiskFull = false;

  constructor(options: ImageCleanerOptions) {
    this.#options = options;
  }

  /** Cleans up as under pressure: a pull found the disk full. */
  diskIsFull(): void {
    this.#isDiskFull = true;
    this.#wakeup.notify();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log, isUnderPressure } = this.#options;
    const outage = new Outage(log, clock, 'image clean-up');
    let dueMs = clock.monotonicMs() + jitter(random, FIRST_MS, 0.5);
    let lastMs = -Infinity;
    while (!signal.aborted) {
      await this.#wakeup.wait(clock, PRESSURE_LOOK_MS, signal);
      const nowMs = clock.monotonicMs();
      const isUrgent = (this.#isDiskFull || isUnderPressure()) && nowMs - lastMs >= PRESSURE_INTERVAL_MS;
      if (!isUrgent && nowMs < dueMs) {
        continue;
      }
      lastMs = nowMs;
      dueMs = nowMs + jitter(random, DAY_MS, 0.1);
      this.#isDiskFull = false;
      try {
        await this.clean(signal);
        outage.recovered();
      } catch (error) {
        signal.throwIfAborted();
        outage.failed(error);
      }
    }
  }

  /** Cleans up once, for five minutes at most. @throws {EngineError} */
  async clean(outer: AbortSignal): Promise<CleanUp> {
    const { engine, ledger, assigned, clock, log } = this.#options;
    const projects = assigned();
    if (projects === undefined) {
      return { removed: 0, freedBytes: 0 };
    }
    const startedMs = clock.monotonicMs();
    using deadline = withDeadline(clock, TIME_LIMIT_MS, outer);
    const { signal } = deadline;
    const images = await engine.listImages(signal);
    const uids = new Set(projects.map(({ metadata }) => metadata.uid));
    ledger.keepOnly({ uids, imageIds: new Set(images.map(({ id }) => id)) });
    const kept = await this.#findKept(projects, uids, signal);
    const unneeded = images.filter((image) => !kept.has(image.id) && isOurs(image, ledger.pulled.get(image.id)));
    let removed = 0;
    let freedBytes = 0;
    for (const image of unneeded) {
      if (await this.#remove(image, signal)) {
        removed += 1;
        freedBytes += image.sizeBytes;
      }
    }
    if (removed > 0) {
      log.info({ images: removed, freedBytes, durationMs: Math.round(clock.monotonicMs() - startedMs) }, 'images cleaned up');
    }
    return { removed, freedBytes };
  }

  async #findKept(projects: readonly ProjectObject[], uids: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { engine, ledger, clock } = this.#options;
    const containers = await engine.listContainers({ labels: {}, all: true }, signal);
    const references = new Set(projects.flatMap(({ spec }) => spec.services.map(({ image }) => image)));
    const asked: string[] = [];
    for (const reference of references) {
      const image = await engine.inspectImage(reference, signal);
      asked.push(...(image === undefined ? [] : [image.id]));
    }
    const young = ledger.pulledSince(clock.monotonicMs() - YOUNG_MS);
    return new Set([...asked, ...containers.map(({ imageId }) => imageId), ...ledger.usedBy(uids), ...young]);
  }

  /** By its names, so that one which somebody gave it meanwhile keeps it. @returns false where the engine says that it is in use */
  async #remove({ id, repoTags }: ImageSummary, signal: AbortSignal): Promise<boolean> {
    const { engine } = this.#options;
    try {
      for (const name of repoTags.length === 0 ? [id] : repoTags) {
        await engine.removeImage(name, signal);
      }
      return true;
    } catch (error) {
      if (hasEngineReason(error, 'Conflict')) {
        return false;
      }
      throw error;
    }
  }
}

/** We pulled it, and all names that it has now are ours. */
function isOurs({ repoTags, repoDigests }: ImageSummary, references: readonly string[] | undefined): boolean {
  if (references === undefined) {
    return false;
  }
  const names = new Set(references.map(toEngineName));
  const repositories = new Set(references.map((reference) => toEngineName(reference).replace(/(?::[^/:@]*)?(?:@.*)?$/u, '')));
  return repoTags.every((tag) => names.has(tag)) && repoDigests.every((digest) => repositories.has(digest.split('@')[0] ?? ''));
}

/** A reference as the engine lists it: `docker.io/library/postgres` -> `postgres:latest`. */
function toEngineName(reference: string): string {
  const short = reference.replace(/^(?:index\.)?docker\.io\//u, '').replace(/^library\//u, '');
  const [named = '', digest] = short.split('@');
  const hasTag = named.includes(':', named.lastIndexOf('/') + 1);
  return digest === undefined && !hasTag ? `${named}:latest` : short;
}
