/** Expiry: when a Project's time is up, by `expireAt` or `ttl`; pure. */
import { durationToMs } from '../../api/duration.ts';
import type { ProjectObject } from '../../api/project.ts';

/** Wall-clock milliseconds at which the Project expires; undefined: never. A ttl counts from the Project's creation. */
export function deriveExpiryMs({ metadata, spec }: ProjectObject): number | undefined {
  const atMs = spec.expireAt === undefined ? Infinity : Date.parse(spec.expireAt);
  const ttlEndMs = spec.ttl === undefined ? Infinity : Date.parse(metadata.createdAt) + durationToMs(spec.ttl);
  const expiryMs = Math.min(atMs, ttlEndMs);
  return Number.isFinite(expiryMs) ? expiryMs : undefined;
}
