/**
 * Makes lines of the frames of a container's log: records of the engine's log, each with its time in front. Pure.
 *
 * Callers  log-reading.ts
 * Source   Docker Engine API v1.41, "Get container logs", `timestamps`; lines longer than 16 KiB come as several records of one time.
 */
import { isUtf8 } from 'node:buffer';
import { TIME_LENGTH, toLogTime, type LogLine, type LogStream, type LogText } from '../../api/log-record.ts';
import type { LogFrame } from '../docker/docker-types.ts';

const MAX_RECORD_BYTES = 16 * 1024;
const SPACE = 0x20;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const MAX_TIME_BYTES = 36;

export interface LineDecoder {
  push(frames: readonly LogFrame[]): readonly LogText[];
  /** What is left when the log has ended. */
  end(): readonly LogLine[];
}

/** @param hasTty all is one stream of bytes then, in which records are found by their ends */
export function createLineDecoder(hasTty: boolean): LineDecoder {
  return hasTty ? createTerminalDecoder() : { push: (frames) => frames.flatMap(toTexts), end: () => [] };
}

/** A batch where the frame is nothing but whole lines of text, as nearly all are; else each record for itself. */
function toTexts({ stream, bytes, ends = [bytes.length] }: LogFrame): readonly LogText[] {
  const records = viewOf(bytes);
  if (ends.every((end, n) => isWholeLine(records, ends[n - 1] ?? 0, end))) {
    const text = toText(records, 0, records.length);
    if (text !== undefined) {
      return [{ type: 'lines', stream, text }];
    }
  }
  return ends.map((end, n) => toLine(stream, records.subarray(ends[n - 1] ?? 0, end)));
}

/** Whether the record has the engine's usual time, and a line feed at its end and nowhere else; looks at bytes alone, as there are millions. */
function isWholeLine(bytes: Buffer, start: number, end: number): boolean {
  const from = start + TIME_LENGTH;
  return (
    bytes[from] === SPACE &&
    bytes[from - 1] === LETTER_Z &&
    bytes[start + 10] === LETTER_T &&
    bytes.indexOf(LINE_FEED, from) === end - 1 &&
    bytes[end - 2] !== CARRIAGE_RETURN
  );
}

function createTerminalDecoder(): LineDecoder {
  let rest: Buffer = Buffer.alloc(0);
  return {
    push: (frames) => {
      const lines: LogLine[] = [];
      let bytes = Buffer.concat([rest, ...frames.map((frame) => frame.bytes)]);
      for (let end = endOfRecord(bytes); end !== undefined; end = endOfRecord(bytes)) {
        lines.push(toLine('stdout', bytes.subarray(0, end)));
        bytes = bytes.subarray(end);
      }
      rest = Buffer.from(bytes);
      return lines;
    },
    end: () => (rest.length === 0 ? [] : [toLine('stdout', rest)]),
  };
}

/** Behind its line feed; of a piece of a long line, behind its 16 KiB. @returns undefined when it is not all there */
function endOfRecord(bytes: Buffer): number | undefined {
  const start = bytes.subarray(0, MAX_TIME_BYTES).indexOf(SPACE) + 1;
  const limit = start + MAX_RECORD_BYTES;
  const lineFeed = bytes.subarray(0, limit).indexOf(LINE_FEED);
  if (lineFeed !== -1) {
    return lineFeed + 1;
  }
  return bytes.length > limit ? limit : undefined;
}

function toLine(stream: LogStream, record: Buffer): LogLine {
  const start = startOfPayload(record);
  const time = toLogTime(record.toString('latin1', 0, Math.max(0, start - 1)));
  const from = time === undefined ? 0 : start;
  const isWhole = record[record.length - 1] === LINE_FEED && record.length > from;
  const end = isWhole
    ? record.length - (record[record.length - 2] === CARRIAGE_RETURN && record.length - 2 >= from ? 2 : 1)
    : record.length;
  return {
    type: 'line',
    stream,
    time: time ?? NO_TIME,
    ...toContent(record, from, end),
    ...(!isWhole && { isPartial: true }),
  };
}

const NO_TIME = '0001-01-01T00:00:00.000000000Z';

/** Behind the space that ends the time. Docker's has 30 bytes, always. */
function startOfPayload(record: Buffer): number {
  return record[TIME_LENGTH] === SPACE ? TIME_LENGTH + 1 : record.subarray(0, MAX_TIME_BYTES).indexOf(SPACE) + 1;
}

function toContent(record: Buffer, from: number, end: number): Pick<LogLine, 'text' | 'base64'> {
  const text = toText(record, from, end);
  return text === undefined ? { base64: record.toString('base64', from, end) } : { text };
}

/** Reading it as text and looking for what stands for bad bytes costs half of asking first. @returns undefined where it is none */
function toText(bytes: Buffer, from: number, end: number): string | undefined {
  const text = bytes.toString('utf8', from, end);
  return text.includes('\uFFFD') && !isUtf8(bytes.subarray(from, end)) ? undefined : text;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
