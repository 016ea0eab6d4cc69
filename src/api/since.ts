/** Points in time as users write them in `since`: a duration back from now, or an RFC 3339 time. No schema in here: the CLI loads it. */
import { DURATION, durationToMs } from './duration.ts';
import { matches } from './names.ts';

export const SINCE_EXPECTS = 'a duration back from now such as 10m, or an RFC 3339 time such as 2027-01-01T00:00:00Z';

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/u;

/** @param nowMs wall clock @returns wall-clock milliseconds; undefined when `text` is neither form */
export function parseSince(text: string, nowMs: number): number | undefined {
  if (matches(DURATION, text)) {
    return nowMs - durationToMs(text);
  }
  const atMs = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : atMs;
}
