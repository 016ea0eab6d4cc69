/** Sends the body of a reply, no faster than it is taken. Callers: agent-server.ts, tunnel-front.ts. */
import type { Writable } from 'node:stream';
import type { AgentReply } from './route.ts';

/** Never rejects: who has gone, or a body that fails, is a connection that is cut short. */
export async function sendReply({ body }: AgentReply, sink: Writable, { isHead }: { readonly isHead: boolean }): Promise<void> {
  if (isHead || typeof body === 'string') {
    sink.end(isHead ? undefined : body);
    return;
  }
  try {
    await process.getBuiltinModule('node:stream/promises').pipeline(body, sink);
  } catch {
    sink.destroy(); // too late for words: the other side sees that it is cut short
  }
}
