/** Clock skew: how far this machine's wall clock is from the server's, as a condition. Pure; nothing is ever judged by it. */
import { formatDuration } from '../../api/duration.ts';
import type { ReportedCondition } from './pressure.ts';

/** One request and its answer. */
export interface ClockSample {
  /** the server's wall clock less ours at the middle of the round trip, in milliseconds; true to within half of it */
  readonly skewMs: number;
  readonly roundTripMs: number;
}

export interface ClockSkew {
  readonly isSkewed: boolean;
  /** the skew that is told, in milliseconds: not each measurement, so that the same skew is the same heartbeat */
  readonly toldMs: number;
}

const SKEWED_MS = 5000; // product: events tell of more than 5 s
const AGREES_MS = 4000; // hysteresis: a clock that drifts along the limit does not flap

const TOLD_TOLERANCE_MS = 1000;

/** Judges a measurement; what half its round trip leaves open counts for the clock. @param before undefined: nothing to say so far */
export function deriveClockSkew(before: ClockSkew | undefined, { skewMs, roundTripMs }: ClockSample): ClockSkew | undefined {
  const leastMs = Math.abs(skewMs) - roundTripMs / 2;
  const mostMs = Math.abs(skewMs) + roundTripMs / 2;
  const isSkewed = before?.isSkewed === true ? mostMs >= AGREES_MS : leastMs > SKEWED_MS;
  if (!isSkewed) {
    return before && { isSkewed, toldMs: 0 };
  }
  const isToldAlready =
    before?.isSkewed === true && Math.abs(before.toldMs - skewMs) <= Math.max(TOLD_TOLERANCE_MS, Math.abs(skewMs) / 10) + roundTripMs / 2;
  return { isSkewed, toldMs: isToldAlready ? before.toldMs : skewMs };
}

export function toClockCondition({ isSkewed, toldMs }: ClockSkew): ReportedCondition {
  const type = 'ClockSkew';
  if (!isSkewed) {
    return { type, status: 'False', reason: 'ClockAgrees', message: "This machine's clock agrees with the server's to within 5s" };
  }
  const [reason, way] = toldMs > 0 ? (['ClockBehind', 'behind'] as const) : (['ClockAhead', 'ahead of'] as const);
  const amount = formatDuration(round(Math.abs(toldMs)));
  return {
    type,
    status: 'True',
    reason,
    message: `This machine's clock is ${amount} ${way} the server's: set the one that is wrong, and keep both right with NTP`,
  };
}

/** To the second, above an hour to the minute. */
function round(ms: number): number {
  const unitMs = ms < 3_600_000 ? 1000 : 60_000;
  return Math.round(ms / unitMs) * unitMs;
}
