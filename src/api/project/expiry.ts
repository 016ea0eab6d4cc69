/** Expiry: when a Project's time is up, by `expireAt` or `ttl`, and when it is to be warned of; pure. Apart from project.ts as leaving.ts is. */
import { durationToMs } from '../duration.ts';
import type { ProjectObject } from '../project.ts';

/** The type of the condition that warns of it. */
export const EXPIRING = 'Expiring';

/** Wall-clock milliseconds, both. */
export interface Expiry {
  readonly atMs: number;
  /** 80 % of the lifetime */
  readonly warnAtMs: number;
}

const WARN_AFTER = 0.8; // of the time from the creation to the end

/** undefined: never. A ttl counts from the Project's creation. */
export function deriveExpiry({ metadata, spec }: Pick<ProjectObject, 'metadata' | 'spec'>): Expiry | undefined {
  const createdAtMs = Date.parse(metadata.createdAt);
  const untilMs = spec.expireAt === undefined ? Infinity : Date.parse(spec.expireAt);
  const ttlEndMs = spec.ttl === undefined ? Infinity : createdAtMs + durationToMs(spec.ttl);
  const atMs = Math.min(untilMs, ttlEndMs);
  return Number.isFinite(atMs) ? { atMs, warnAtMs: createdAtMs + WARN_AFTER * (atMs - createdAtMs) } : undefined;
}
