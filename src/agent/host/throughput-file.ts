/**
 * Throughput file: the last measurement, so that a restart of the agent does not measure again before it is due.
 *
 * Owns     DATA_DIR/throughput.json. What cannot be read counts as never measured: it costs one more test.
 * Callers  throughput.ts.
 */
import { readFile } from 'node:fs/promises';
import Type from 'typebox';
import { createDecoder } from '../../api/decode.ts';
import { Closed, Timestamp } from '../../api/meta.ts';
import type { NetworkStatus } from '../../api/node.ts';
import { writeFileAtomically } from '../../base/atomic-file.ts';

/** As in `status.network.throughput`, always with the time. */
export type Throughput = NonNullable<NetworkStatus['throughput']> & { readonly lastTestTime: string };

const Speed = Type.Optional(Type.String({ maxLength: 64 }));
const Content = Closed({
  format: Type.Literal(1),
  /** a measurement of the line to another server says nothing */
  serverUrl: Type.String(),
  throughput: Closed({ download: Speed, upload: Speed, lastTestTime: Timestamp }),
});
const decoder = createDecoder(Content);

/** The last measurement of the line to this server; undefined where there is none. Never throws. */
export async function readThroughputFile(path: string, serverUrl: string): Promise<Throughput | undefined> {
  try {
    const decoded = decoder(JSON.parse(await readFile(path, 'utf8')));
    return decoded.ok && decoded.value.serverUrl === serverUrl ? decoded.value.throughput : undefined;
  } catch {
    return undefined; // there is none, or it is no JSON
  }
}

/** @throws what the file system says */
export async function writeThroughputFile(path: string, serverUrl: string, throughput: Throughput): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify({ format: 1, serverUrl, throughput })}\n`);
}
