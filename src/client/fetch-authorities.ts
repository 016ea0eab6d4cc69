/** Asks a server for its authorities, before any of them is trusted. What comes is worth nothing until it is compared with a fingerprint. */
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { CA_PATH } from '../api/fingerprint.ts';
import { splitPem } from '../base/pem.ts';

const MAX_BYTES = 64 * 1024;

/** @returns certificates in PEM; none where the server shows none @throws what the connection does */
export async function fetchAuthorities(origin: string, signal: AbortSignal): Promise<readonly string[]> {
  const { request } = process.getBuiltinModule('node:https');
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // nothing secret is sent, and nothing that comes is believed
  const sent = request(`${origin}${CA_PATH}`, { agent: false, rejectUnauthorized: false, signal });
  sent.on('error', reject);
  sent.on('response', resolve);
  sent.end();
  const answer = await promise;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new ApiError(
        'Unavailable',
        `Cannot read the authority of the server at ${origin} as it says too much: another program may listen there`,
      );
    }
    chunks.push(chunk);
  }
  return answer.statusCode === 200 ? splitPem(Buffer.concat(chunks).toString('latin1')).certificates : [];
}
