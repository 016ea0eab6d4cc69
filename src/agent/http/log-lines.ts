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
  const space = record.subarray(0, MAX_TIME_BYTES).indexOf(SPACE);
  const time = toLogTime(record.toString('latin1', 0, Math.max(0, space)));
  const payload = time === undefined ? record : record.subarray(space + 1);
  const isWhole = payload.at(-1) === LINE_FEED;
  const end = isWhole ? payload.length - (payload.at(-2) === CARRIAGE_RETURN ? 2 : 1) : payload.length;
  const bytes = payload.subarray(0, end);
  return {
    type: 'line',
    stream,
    time: time ?? '0001-01-01T00:00:00.000000000Z',
    ...(isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') }),
    ...(!isWhole && { isPartial: true }),
  };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
