/** Durations as users write them: `300ms`, `90s`, `3m`, `2h`, `1h30m`. */
import type { Grammar } from './names.ts';

export const DURATION = {
  pattern: '^(?=[0-9])([0-9]{1,9}h)?([0-9]{1,9}m(?!s))?([0-9]{1,9}s)?([0-9]{1,9}ms)?$',
  expects: 'a duration with a unit, such as 300ms, 90s, 3m, 2h or 1h30m',
  maxLength: 48,
} as const satisfies Grammar;

const PARTS = /([0-9]{1,9})(ms|h|m|s)/gu;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads a duration in milliseconds. @throws {RangeError} when `text` is none */
export function durationToMs(text: string): number {
  if (!new RegExp(DURATION.pattern, 'u').test(text)) {
    throw new RangeError(`Cannot read duration as it must be ${DURATION.expects}: current value is ${JSON.stringify(text)}`);
  }
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(PARTS)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return totalMs;
}

/**
 * A reader of settings that are durations, giving milliseconds and showing durations; it throws RangeErrors whose message
 * completes "must be ...".
 */
export function durationSetting(minimumMs: number, maximumMs = Infinity): { (text: string): number; show(ms: number): string } {
  const read = (text: string): number => {
    if (text.length > DURATION.maxLength || !new RegExp(DURATION.pattern, 'u').test(text)) {
      throw new RangeError(DURATION.expects);
    }
    const ms = durationToMs(text);
    if (ms < minimumMs || ms > maximumMs) {
      const upper = maximumMs === Infinity ? '' : ` and at most ${formatDuration(maximumMs)}`;
      throw new RangeError(`a duration of at least ${formatDuration(minimumMs)}${upper}`);
    }
    return ms;
  };
  return Object.assign(read, { show: formatDuration });
}

/** Writes milliseconds as a duration without losing any: 5400000 -> "1h30m", 1500 -> "1s500ms". */
export function formatDuration(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  let text = '';
  for (const [unit, unitMs] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const amount = Math.floor(rest / unitMs);
    rest -= amount * unitMs;
    text += amount > 0 ? `${amount}${unit}` : '';
  }
  return text === '' ? '0s' : text;
}
