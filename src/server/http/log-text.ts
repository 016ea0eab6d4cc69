/** Makes text of an agent's log records: lines as they were written. Callers: routes/logs.ts */
import { Readable } from 'node:stream';
import { fromProblem } from '../../api/errors.ts';
import { toPlain, type LogRecord } from '../../api/log-record.ts';
import { readLineBatches } from '../../base/line-batches.ts';

const MAX_LINE_BYTES = 1024 * 1024; // a record is some 64 KiB before it is escaped

/** A log that cannot be read on is cut: text has no other way to say so. */
export function toLogText(records: AsyncIterable<Uint8Array>, options: { readonly hasTimes: boolean }): Readable {
  return Readable.from(toText(records, options), { objectMode: false, highWaterMark: 64 * 1024 });
}

async function* toText(records: AsyncIterable<Uint8Array>, { hasTimes }: { readonly hasTimes: boolean }): AsyncGenerator<Buffer> {
  let isWithinLine = false;
  for await (const lines of readLineBatches(records, MAX_LINE_BYTES)) {
    const parts: Buffer[] = [];
    for (const line of lines) {
      const record = JSON.parse(line) as LogRecord;
      if (record.type === 'error') {
        throw fromProblem(record.problem.status, record.problem);
      }
      if (record.type === 'lines') {
        parts.push(Buffer.from(toPlain(record, { hasTimes, isWithinLine })));
        isWithinLine = false;
        continue;
      }
      if (record.type !== 'line') {
        continue;
      }
      const time = hasTimes && !isWithinLine ? `${record.time} ` : '';
      isWithinLine = record.isPartial === true;
      const body = record.base64 === undefined ? Buffer.from(record.text ?? '') : Buffer.from(record.base64, 'base64');
      parts.push(Buffer.from(time), body, Buffer.from(isWithinLine ? '' : '\n'));
    }
    if (parts.length > 0) {
      yield Buffer.concat(parts);
    }
  }
}
