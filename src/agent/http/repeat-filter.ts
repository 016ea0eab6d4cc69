/**
 * Takes out of a followed log what the engine tells twice: at each rotation Docker (20.10) gives the last records again, at high rates whole
 * files of them.
 *
 * The engine stamps each stream in order, so a record that is older than one before it was told already, unless the machine's clock was
 * set back in between, which shows against the monotonic clock. Of records of one time only those count that are the same, as pieces of
 * a long line share theirs.
 * Callers  log-reading.ts
 */
import { filterText, type LogLine, type LogStream, type LogText } from '../../api/log-record.ts';
import type { Clock } from '../../base/clock.ts';

const STEP_MS = 20; // what measuring the two clocks one after the other may be off by
const SLEW = 0.002; // of the time between two measurements: four times what NTP lets a clock drift

interface Last {
  time: string;
  /** of the records of that time */
  contents: Set<string>;
  isPartial: boolean;
}

export function createRepeatFilter(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>): (texts: readonly LogText[]) => readonly LogText[] {
  const last = new Map<LogStream, Last>();
  let measuredAtMs = clock.monotonicMs();
  let offsetMs = clock.wallMs() - measuredAtMs;

  function wasSetBack(): boolean {
    const nowMs = clock.monotonicMs();
    const before = offsetMs - STEP_MS - SLEW * (nowMs - measuredAtMs);
    offsetMs = clock.wallMs() - nowMs;
    measuredAtMs = nowMs;
    return offsetMs < before;
  }

  function isRepeat({ stream, time, text, base64, isPartial: piece }: LogLine): boolean {
    const known = last.get(stream);
    const content = text ?? base64 ?? '';
    const isPartial = piece === true;
    if (known === undefined || time > known.time) {
      last.set(stream, { time, contents: new Set([content]), isPartial });
      return false;
    }
    if (time < known.time) {
      return true;
    }
    const isPiece = known.isPartial || isPartial;
    known.isPartial = isPartial;
    const isKnown = known.contents.has(content);
    known.contents.add(content);
    return isKnown && !isPiece;
  }

  return (texts) => {
    if (wasSetBack()) {
      last.clear();
    }
    return texts.flatMap((text) => filterText(text, (line) => !isRepeat(line)));
  };
}
