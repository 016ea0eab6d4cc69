/**
 * Merges the logs of several services in the order of time.
 *
 * A service that still has something old to tell holds up the others; one that is live and quiet, or without contact, does not.
 * Callers  commands/logs.ts
 */
import { splitBatch, type LogLine, type LogText } from '../../api/log-record.ts';
import type { SourceEvent } from './log-source.ts';

/** Where a line or a remark comes from: index of the source. */
export type MergedEvent =
  | { readonly kind: 'lines'; readonly source: number; readonly lines: readonly LogText[] }
  | { readonly kind: 'note'; readonly source: number; readonly text: string };

interface Lane {
  readonly source: number;
  readonly iterator: AsyncIterator<SourceEvent>;
  /** lines that came, and the first that is not told yet */
  lines: readonly LogLine[];
  next: number;
  isPending: boolean;
  isIdle: boolean;
  isDone: boolean;
  notes: string[];
}

/** Ends when all have ended. @throws what the first of them throws */
export async function* mergeLogs(sources: readonly AsyncIterable<SourceEvent>[]): AsyncGenerator<MergedEvent> {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) {
    yield* passOn(only);
    return;
  }
  const lanes = sources.map((events, source): Lane => {
    const iterator = events[Symbol.asyncIterator]();
    return { source, iterator, lines: [], next: 0, isPending: false, isIdle: false, isDone: false, notes: [] };
  });
  let failure: { readonly error: unknown } | undefined;
  let changed = Promise.withResolvers<void>(); // one for all: a race of what each lane waits for would grow with a lane that is quiet for hours
  const onSettled = (failed?: { readonly error: unknown }): void => {
    failure ??= failed;
    changed.resolve();
  };
  for (;;) {
    changed = Promise.withResolvers<void>();
    lanes.forEach((lane) => fill(lane, onSettled));
    if (failure !== undefined) {
      throw failure.error;
    }
    for (const lane of lanes) {
      yield* takeNotes(lane);
    }
    const waiting = lanes.filter((lane) => !lane.isDone && isEmpty(lane));
    const blocking = waiting.filter(({ isIdle }) => !isIdle);
    const first = earliest(lanes);
    if (blocking.length > 0 || first === undefined) {
      if (waiting.length === 0) {
        return;
      }
      await changed.promise;
      continue;
    }
    yield { kind: 'lines', source: first.source, lines: takeUntil(first, lanes) };
  }
}

/** One service needs no merging: what came together stays together. */
async function* passOn(events: AsyncIterable<SourceEvent>): AsyncGenerator<MergedEvent> {
  for await (const event of events) {
    if (event.kind !== 'idle') {
      yield { ...event, source: 0 };
    }
  }
}

/** Asks for more where there is nothing left. */
function fill(lane: Lane, onSettled: (failed?: { readonly error: unknown }) => void): void {
  if (!isEmpty(lane) || lane.isDone || lane.isPending) {
    return;
  }
  lane.isPending = true;
  lane.iterator.next().then(
    (result) => {
      lane.isPending = false;
      if (result.done === true) {
        lane.isDone = true;
      } else {
        take(lane, result.value);
      }
      onSettled();
    },
    (error: unknown) => onSettled({ error }),
  );
}

function take(lane: Lane, event: SourceEvent): void {
  switch (event.kind) {
    case 'lines':
      lane.lines = event.lines.flatMap((text) => (text.type === 'lines' ? splitBatch(text) : [text]));
      lane.next = 0;
      break;
    case 'note':
      lane.notes.push(event.text);
      break;
    case 'idle':
      lane.isIdle = true;
      break;
    default:
      event satisfies never;
  }
}

function* takeNotes(lane: Lane): Generator<MergedEvent> {
  const { notes } = lane;
  lane.notes = [];
  for (const text of notes) {
    yield { kind: 'note', source: lane.source, text };
  }
}

function isEmpty({ lines, next }: Lane): boolean {
  return next >= lines.length;
}

function timeOf({ lines, next }: Lane): string {
  return lines[next]?.time ?? '';
}

function earliest(lanes: readonly Lane[]): Lane | undefined {
  let first: Lane | undefined;
  for (const lane of lanes) {
    if (!isEmpty(lane) && (first === undefined || timeOf(lane) < timeOf(first))) {
      first = lane;
    }
  }
  return first;
}

/** The lane's lines up to the first that another lane's goes before. */
function takeUntil(lane: Lane, lanes: readonly Lane[]): readonly LogLine[] {
  const others = lanes.filter((other) => other !== lane && !isEmpty(other)).map(timeOf);
  const limit = others.reduce((least: string | undefined, time) => (least === undefined || time < least ? time : least), undefined);
  const start = lane.next;
  do {
    lane.next += 1;
  } while (!isEmpty(lane) && (limit === undefined || timeOf(lane) <= limit));
  return start === 0 && isEmpty(lane) ? lane.lines : lane.lines.slice(start, lane.next);
}
