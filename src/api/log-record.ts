/**
 * Records of a log as agents and the server stream them, one JSON object a line, and the cursor with which a reader goes on after an
 * interruption without losing or repeating a line. No schema in here: agents and the CLI load it.
 */
import type { Problem } from './errors.ts';

export const LOG_RECORDS = 'application/x-ndjson';

/** What a reader accepts that takes lines together, too. */
export const BATCHED_LOG_RECORDS = `${LOG_RECORDS}; lines=batched`;

export const LOG_STREAMS = ['stdout', 'stderr'] as const;
export type LogStream = (typeof LOG_STREAMS)[number];

/** One record of the engine's log: a line, or a piece of one that is longer than 16 KiB. */
export interface LogLine {
  readonly type: 'line';
  readonly stream: LogStream;
  /** of the engine: RFC 3339 in UTC with nine digits, so that times compare as text */
  readonly time: string;
  /** without its line feed; one of `text` and `base64` is there, the latter for what is no UTF-8 */
  readonly text?: string;
  readonly base64?: string;
  /** the line goes on in the next record of the stream */
  readonly isPartial?: true;
}

/** Whole lines of one stream that came together, as text alone: a log has millions, and a record for each is slow to write and to read. */
export interface LogBatch {
  readonly type: 'lines';
  readonly stream: LogStream;
  /** of each line its time, a space, the line and a line feed; never empty, 64 KiB or so at most */
  readonly text: string;
}

/** What a service wrote. */
export type LogText = LogLine | LogBatch;

export type LogRecord =
  | LogLine
  /** only for readers that ask for it, see `BATCHED_LOG_RECORDS` */
  | LogBatch
  /** first of all, from the server: where the service is */
  | { readonly type: 'node'; readonly name: string }
  /** what follows was written by this container */
  | { readonly type: 'container'; readonly id: string }
  /** everything that was there has been told; what follows is written from about now on. `time`: of the node */
  | { readonly type: 'live'; readonly time: string }
  /** a run of the container has ended, `at` by the engine's clock; a follower goes on with the next run, or another container */
  | { readonly type: 'ended'; readonly container: string; readonly at?: string; readonly exitCode?: number }
  /** a sign of life where there is nothing to tell */
  | { readonly type: 'ping' }
  /** the log cannot be read on */
  | { readonly type: 'error'; readonly problem: Problem }
  /** all has been told: the stream was not cut */
  | { readonly type: 'end' };

/** Nothing for so long, pings included, and the stream is dead. Three pings. */
export const LOG_SILENCE_MS = 15_000;
export const LOG_PING_MS = 5000;

/** How far one stream has been read: up to the `count`-th record of `time`. */
interface Position {
  readonly time: string;
  readonly count: number;
}

/** How far a service's log has been read. Streams apart: the engine stamps each in order, but not one against the other. */
export interface LogCursor {
  readonly container: string;
  /** both are there once anything was read */
  readonly stdout?: Position;
  readonly stderr?: Position;
}

/** The cursor after `record`. */
export function advanceCursor(cursor: LogCursor | undefined, record: LogRecord): LogCursor | undefined {
  if (record.type === 'container') {
    return cursor?.container === record.id ? cursor : { container: record.id };
  }
  if (cursor === undefined) {
    return cursor;
  }
  switch (record.type) {
    case 'live':
      return begun(cursor, record.time);
    case 'line':
      return passed(begun(cursor, record.time), record.stream, { time: record.time, count: 1 });
    case 'lines':
      return passed(begun(cursor, record.text.slice(0, TIME_LENGTH)), record.stream, endOf(record.text));
    case 'node':
    case 'ended':
    case 'ping':
    case 'error':
    case 'end':
      return cursor;
    default:
      return record satisfies never;
  }
}

function begun(cursor: LogCursor, time: string): LogCursor {
  return cursor.stdout === undefined ? from(cursor.container, time) : cursor;
}

function passed(cursor: LogCursor, stream: LogStream, end: Position & { readonly isOfOneTime?: boolean }): LogCursor {
  const { time, count, isOfOneTime = true } = end;
  const position = cursor[stream];
  return { ...cursor, [stream]: { time, count: isOfOneTime && position?.time === time ? position.count + count : count } };
}

/** The time of a batch's last line, and how many of its lines at the end have it. */
function endOf(text: string): Position & { readonly isOfOneTime: boolean } {
  let start = text.lastIndexOf('\n', text.length - 2) + 1;
  const time = text.slice(start, start + TIME_LENGTH);
  let count = 1;
  while (start > 0) {
    const before = text.lastIndexOf('\n', start - 2) + 1; // -1 + 1 where start is 1, which no line is short enough for
    if (!text.startsWith(time, before)) {
      break;
    }
    start = before;
    count += 1;
  }
  return { time, count, isOfOneTime: start === 0 };
}

/** The lines of a batch, each for itself. */
export function splitBatch({ stream, text }: LogBatch): readonly LogLine[] {
  const lines: LogLine[] = [];
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    lines.push({ type: 'line', stream, time: text.slice(start, start + TIME_LENGTH), text: text.slice(start + TIME_LENGTH + 1, end) });
    start = end + 1;
  }
  return lines;
}

/** The lines that are to stay; a batch of which all do stays whole. */
export function filterText(text: LogText, isKept: (line: LogLine) => boolean): readonly LogText[] {
  if (text.type === 'line') {
    return isKept(text) ? [text] : [];
  }
  const lines = splitBatch(text);
  const kept = lines.filter(isKept);
  return kept.length === lines.length ? [text] : kept;
}

/** The time of the first line. */
export function timeOf(text: LogText): string {
  return text.type === 'line' ? text.time : text.text.slice(0, TIME_LENGTH);
}

export interface PlainOptions {
  readonly hasTimes: boolean;
  /** its first line goes on with one that was begun: the last piece of a long one has a line feed too */
  readonly isWithinLine: boolean;
}

/** The lines of a batch as they were written, with or without their times. */
export function toPlain({ text }: LogBatch, { hasTimes, isWithinLine }: PlainOptions): string {
  if (hasTimes) {
    return isWithinLine ? text.slice(TIME_LENGTH + 1) : text;
  }
  let plain = '';
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start) + 1;
    plain += text.slice(start + TIME_LENGTH + 1, end);
    start = end;
  }
  return plain;
}

/** A cursor before everything that was written at or after `time`: what came before it was not asked for. */
function from(container: string, time: string): LogCursor {
  const position = { time, count: 0 };
  return { container, stdout: position, stderr: position };
}

/** Tells, record by record of one container in the log's order, whether the reader with `cursor` has seen it. */
export function createSeen(cursor: LogCursor): (line: Pick<LogLine, 'stream' | 'time'>) => boolean {
  const passed = { stdout: 0, stderr: 0 };
  return ({ stream, time }) => {
    const position = cursor[stream];
    if (position === undefined || time > position.time) {
      return false;
    }
    if (time === position.time) {
      passed[stream] += 1;
      return passed[stream] <= position.count;
    }
    return true;
  };
}

/** The earliest time at which a record that has not been seen can stand. */
export function earliestUnseen({ stdout, stderr }: LogCursor): string | undefined {
  if (stdout === undefined || stderr === undefined) {
    return undefined;
  }
  return stdout.time < stderr.time ? stdout.time : stderr.time;
}

export const TIME_LENGTH = 30;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z$/u;
export const CURSOR_EXPECTS = 'a cursor, as its reader has made it';

/** As a query has it: container, then time and count of stdout and of stderr. */
export function formatCursor({ container, stdout, stderr }: LogCursor): string {
  return [container, ...[stdout, stderr].flatMap((position) => (position === undefined ? [] : [position.time, position.count]))].join('_');
}

/** @returns undefined when `text` is none */
export function parseCursor(text: string): LogCursor | undefined {
  const [container = '', ...rest] = text.split('_');
  if (!/^[0-9a-f]{12,64}$/u.test(container) || (rest.length !== 0 && rest.length !== 4)) {
    return undefined;
  }
  const [outTime = '', outCount = '', errTime = '', errCount = ''] = rest;
  if (rest.length === 0) {
    return { container };
  }
  const isSound = [outTime, errTime].every((time) => TIME.test(time)) && [outCount, errCount].every((count) => /^\d{1,9}$/u.test(count));
  return isSound
    ? { container, stdout: { time: outTime, count: Number(outCount) }, stderr: { time: errTime, count: Number(errCount) } }
    : undefined;
}

/** An RFC 3339 time as records have it; undefined when it is none. */
export function toLogTime(text: string): string | undefined {
  if (text.length === 30 && text.endsWith('Z') && text[10] === 'T' && text[19] === '.') {
    return text; // the engine's own form: a full test costs a microsecond, for each of millions of lines
  }
  if (TIME.test(text)) {
    return text;
  }
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/u.exec(text);
  const atMs = Date.parse(`${match?.[1]}${match?.[3]}`);
  return match === null || Number.isNaN(atMs)
    ? undefined
    : `${new Date(atMs).toISOString().slice(0, 19)}.${(match[2] ?? '').padEnd(9, '0')}Z`;
}
