/** The logs of services as records. */
import { BATCHED_LOG_RECORDS, formatCursor, type LogCursor, type LogRecord } from '../api/log-record.ts';
import { ApiError } from '../api/errors.ts';
import { readLineBatches } from '../base/line-batches.ts';
import { toFailure } from './network-failure.ts';
import type { Transport } from './transport.ts';

export interface LogQuery {
  readonly project: string;
  readonly service: string;
  readonly follow: boolean;
  readonly tail?: number;
  /** a duration back from the server's now, or an RFC 3339 time */
  readonly since?: string;
  readonly previous?: boolean;
  /** goes on behind what was read */
  readonly cursor?: LogCursor;
}

export interface LogClient {
  /**
   * Records in batches, as they come together. Ends with an `end` record; without one it was cut.
   * @throws {ApiError} NotFound, NotRunning, NodeUnreachable; Unavailable when the connection is cut
   */
  read(query: LogQuery, signal: AbortSignal): AsyncIterable<readonly LogRecord[]>;
}

const MAX_LINE_BYTES = 1024 * 1024; // a record is some 64 KiB before it is escaped

export function createLogClient(transport: Transport): LogClient {
  return {
    read: async function* (query, signal) {
      const stream = await transport.stream({ method: 'GET', path: toPath(query), accept: BATCHED_LOG_RECORDS }, signal);
      try {
        for await (const lines of readLineBatches(stream, MAX_LINE_BYTES)) {
          yield lines.map(toRecord);
        }
      } catch (error) {
        throw toFailure(error, { serverUrl: transport.serverUrl, timeoutMs: 0, signal }); // a connection that is cut fails in the reading
      }
    },
  };
}

function toPath({ project, service, follow, tail, since, previous, cursor }: LogQuery): string {
  const parameters = new URLSearchParams();
  if (follow) {
    parameters.set('follow', 'true');
  }
  if (previous === true) {
    parameters.set('previous', 'true');
  }
  if (tail !== undefined) {
    parameters.set('tail', String(tail));
  }
  if (since !== undefined) {
    parameters.set('since', since);
  }
  if (cursor !== undefined) {
    parameters.set('cursor', formatCursor(cursor));
  }
  return `/api/v1/projects/${encodeURIComponent(project)}/services/${encodeURIComponent(service)}/logs?${parameters.toString()}`;
}

function toRecord(line: string): LogRecord {
  try {
    return JSON.parse(line) as LogRecord;
  } catch (error) {
    throw new ApiError('Unavailable', `Cannot read the logs as a line is not JSON: ${line.slice(0, 80)}`, { cause: error });
  }
}
