/**
 * Makes lines of the frames of a container's log: each frame is a record of the engine's log, its time in front. Pure.
 *
 * Callers  log-reading.ts
 * Source   Docker Engine API v1.41, "Get container logs", `timestamps`; lines longer than 16 KiB come as several records of one time.
 */
import { isUtf8 } from 'node:buffer';
import { toLogTime, type LogLine, type LogStream } from '../../api/log-record.ts';
import type { LogFrame } from '../docker/docker-types.ts';

const MAX_RECORD_BYTES = 16 * 1024;
const SPACE = 0x20;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const TIME_BYTES = 30;
const MAX_TIME_BYTES = 36;

export interface LineDecoder {
  push(frames: readonly LogFrame[]): readonly LogLine[];
  /** What is left when the log has ended. */
  end(): readonly LogLine[];
}

/** @param hasTty all is one stream of bytes then, in which records are found by their ends */
export function createLineDecoder(hasTty: boolean): LineDecoder {
  return hasTty
    ? createTerminalDecoder()
    : { push: (frames) => frames.map(({ stream, bytes }) => toLine(stream, viewOf(bytes))), end: () => [] };
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
  return record[TIME_BYTES] === SPACE ? TIME_BYTES + 1 : record.subarray(0, MAX_TIME_BYTES).indexOf(SPACE) + 1;
}

/** Reading it as text and looking for what stands for bad bytes costs half of asking first, for each of millions of lines. */
function toContent(record: Buffer, from: number, end: number): Pick<LogLine, 'text' | 'base64'> {
  const text = record.toString('utf8', from, end);
  const bytes = text.includes('\uFFFD') ? record.subarray(from, end) : undefined;
  return bytes === undefined || isUtf8(bytes) ? { text } : { base64: bytes.toString('base64') };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
