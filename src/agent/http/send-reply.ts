/** Sends the body of a reply, no faster than it is taken. Callers: agent-server.ts, tunnel-front.ts. */
import type { Writable } from 'node:stream';
import type { Dispatcher } from './dispatcher.ts';
import type { AgentReply } from './route.ts';

interface Sending {
  readonly isHead: boolean;
  /** path and query */
  readonly target: string;
  readonly dispatcher: Dispatcher;
}

/** Never rejects: who has gone, or a body that fails, is a connection that is cut short. */
export async function sendReply({ body }: AgentReply, sink: Writable, { isHead, target, dispatcher }: Sending): Promise<void> {
  if (isHead || typeof body === 'string') {
    sink.end(isHead ? undefined : body);
    return;
  }
  try {
    await process.getBuiltinModule('node:stream/promises').pipeline(body, sink);
  } catch (error) {
    dispatcher.reportFailure(error, target);
    sink.destroy(); // too late for words: the other side sees that it is cut short
  }
}
