/** How long something lasted, for the messages of Events; pure. */
import { formatDuration } from '../../api/duration.ts';

/** Whole seconds from one RFC 3339 time to another, such as "5m3s"; undefined where one is missing or the clock was set back in between. */
export function spanBetween(begin: string | undefined, end: string | undefined): string | undefined {
  const ms = begin === undefined || end === undefined ? Number.NaN : Date.parse(end) - Date.parse(begin);
  return ms >= 0 ? formatDuration(Math.round(ms / 1000) * 1000) : undefined;
}

/** `text` with the span where it is known: ("after", undefined) gives "". */
export function withSpan(before: string, span: string | undefined, after = ''): string {
  return span === undefined ? '' : `${before}${span}${after}`;
}
