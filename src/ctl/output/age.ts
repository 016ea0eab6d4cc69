/** How long ago, as people say it. */

const UNITS = [
  ['y', 365 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** One unit, rounded down: 5m, 2h, 3d. Negative (a clock that differs) is 0s. */
export function formatAge(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, size]) => ms >= size) ?? UNITS[4];
  return `${Math.max(0, Math.floor(ms / unitMs))}${unit}`;
}

/** Two units: 2h3m, 5d1h, 42s. */
export function formatLongAge(ms: number): string {
  const index = UNITS.findIndex(([, size]) => ms >= size);
  const [first, second] = index === -1 ? [UNITS[4]] : UNITS.slice(index, index + 2);
  const restMs = first === undefined ? 0 : ms % first[1];
  const rest = second === undefined ? 0 : Math.floor(restMs / second[1]);
  return `${formatAge(ms)}${second === undefined || rest === 0 ? '' : `${rest}${second[0]}`}`;
}

/** Age of an RFC 3339 time, `-` without one. */
export function ageOf(time: string | undefined, nowMs: number): string {
  const atMs = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(atMs) ? '-' : formatAge(nowMs - atMs);
}

/** The time with its age: `2026-01-01T00:00:00Z (2h3m ago)`. */
export function timeWithAge(time: string | undefined, nowMs: number): string {
  const atMs = time === undefined ? Number.NaN : Date.parse(time);
  return time === undefined ? 'never' : Number.isNaN(atMs) ? time : `${time} (${formatLongAge(nowMs - atMs)} ago)`;
}

/** A short time that was measured: 0.4 s, 12.3 s, 2m5s. */
export function formatSeconds(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatLongAge(ms);
}
