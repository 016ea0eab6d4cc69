/**
 * Throughput file: the last measurement, so that a restart of the agent does not measure again before it is due.
 *
 * Owns     DATA_DIR/throughput.json. What cannot be read counts as never measured: it costs one more test.
 * Callers  throughput.ts.
 */
import { readFile } from 'node:fs/promises';
import type { NetworkStatus } from '../../api/node.ts';
import { writeFileAtomically } from '../../base/atomic-file.ts';

/** As in `status.network.throughput`, always with the time. */
export type Throughput = NonNullable<NetworkStatus['throughput']> & { readonly lastTestTime: string };

const MAX_SPEED_LENGTH = 64; // the schema's

/** The last measurement of the line to this server; undefined where there is none. Never throws. */
export async function readThroughputFile(path: string, serverUrl: string): Promise<Throughput | undefined> {
  try {
    const content = JSON.parse(await readFile(path, 'utf8')) as Partial<Content> | null;
    // a measurement of the line to another server says nothing
    return content?.format === 1 && content.serverUrl === serverUrl ? parse(content.throughput) : undefined;
  } catch {
    return undefined; // there is none, or it is no JSON
  }
}

interface Content {
  readonly format: 1;
  readonly serverUrl: string;
  readonly throughput: Readonly<Partial<Record<keyof Throughput, unknown>>> | null;
}

/** Exact, as the server refuses the whole heartbeat for what it would not show. */
function parse(value: Content['throughput'] | undefined): Throughput | undefined {
  const { download, upload, lastTestTime } = value ?? {};
  const isWhole = isSpeed(download) && isSpeed(upload) && typeof lastTestTime === 'string' && isOwnTime(lastTestTime);
  return isWhole ? { ...(download !== undefined && { download }), ...(upload !== undefined && { upload }), lastTestTime } : undefined;
}

function isSpeed(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value.length <= MAX_SPEED_LENGTH);
}

/** Whether it is a time as `nowRfc3339` writes it. */
function isOwnTime(text: string): boolean {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}

/** @throws what the file system says */
export async function writeThroughputFile(path: string, serverUrl: string, throughput: Throughput): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify({ format: 1, serverUrl, throughput })}\n`);
}
