/** Tailscale's LocalAPI: HTTP on the daemon's unix socket. Source: ipn/localapi of tailscale/tailscale */
import type { IncomingMessage } from 'node:http';
import { http } from '../../base/node-http.ts';

/** The daemon refuses other names: a browser that is tricked into calling it would send another one. */
const HOST = 'local-tailscaled.sock';

/** A peer takes 1 to 2 KiB: about 5,000 of them. Beyond it, parsing would hold up heartbeats. */
const MAX_BYTES = 8 * 1024 * 1024;

/** The daemon's status, parsed. @throws the socket's error (ENOENT: there is no daemon), or what is wrong with the answer */
export async function fetchTailscaleStatus(socketPath: string, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = http.get({ socketPath, path: '/localapi/v0/status', headers: { host: HOST }, agent: false, signal });
  request.on('response', resolve);
  request.on('error', reject);
  const text = await readLimited(await promise);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Cannot read the answer of ${socketPath} as it is no JSON: ${JSON.stringify(text.slice(0, 100))}`, { cause });
  }
}

async function readLimited(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new Error(`Cannot read the answer of Tailscale's daemon as it is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (response.statusCode !== 200) {
    throw new Error(
      `Cannot read the status of Tailscale's daemon as it answered ${response.statusCode}: ${JSON.stringify(text.slice(0, 100))}`,
    );
  }
  return text;
}
