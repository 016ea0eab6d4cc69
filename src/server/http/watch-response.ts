/**
 * Watch responses: changes of one kind as JSON lines, for as long as the client listens.
 *
 * Owns     one stream per client; nothing is queued for it: the store keeps the changes, and the next is taken when the client has
 *          taken the last. A client that falls behind what the store keeps gets an ERROR line (410) and lists again.
 * Never    misses what enters or leaves a filtered view: it enters as ADDED and leaves as DELETED.
 * Callers  send-collection.ts; routes/events.ts.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ApiError, toProblem } from '../../api/errors.ts';
import type { WatchEvent, WatchFailure } from '../../api/watch-event.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Change, Store, StoredObject, WatchItem } from '../../store/store.ts';
import type { Topic } from '../../store/topic.ts';
import type { Credentials } from '../auth/credentials.ts';
import { isClientFault, toApiError } from './problem-reply.ts';
import type { SharedLines } from './shared-lines.ts';

/** Characters per write, about: each costs as much as writing down some ten lines; whoever takes nothing more holds one of them. */
const CHUNK_LENGTH = 16_384;

/**
 * ms; four bookmarks: whose connection takes nothing for so long is gone, or as good as gone. Its stream ends with an ERROR line behind what
 * it has not taken yet, and after as long again its connection.
 */
const STUCK_MS = 120_000;

const REVOKED = new Error('Revoked'); // tells the end by revocation from the others; never thrown

export interface WatchDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly lines: SharedLines;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
  /** tells when whoever watches may no longer */
  readonly bearers: Pick<Credentials, 'hold'>;
}

export interface WatchRequest<Item extends StoredObject> {
  readonly kind: Item['kind'];
  /** only changes after this version; undefined: first ADDED for each object that is there */
  readonly since: number | undefined;
  readonly isSelected: (item: Item) => boolean;
  /** all that is selected is of this topic: then nothing else costs anything */
  readonly topic?: Topic | undefined;
  readonly present: (item: Item) => StoredObject;
  /** what is shown of one that leaves the view; default as `present` */
  readonly conceal?: (item: Item) => StoredObject;
}

/** Sends the stream. @throws {ApiError} Expired before anything is sent when `since` is too old */
export async function sendWatch<Item extends StoredObject>(
  deps: WatchDeps,
  watch: WatchRequest<Item>,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<FastifyReply> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const release = deps.bearers.hold(request.caller, () => ended.abort(REVOKED));
  deps.stopSignal.addEventListener('abort', end);
  if (deps.stopSignal.aborted) {
    end();
  }
  reply.raw.once('close', () => {
    release();
    deps.stopSignal.removeEventListener('abort', end);
    end(); // wakes a generator that waits for a change, so that it can return
  });
  const lines = readLines(deps, watch, { signal: ended.signal, onListed: () => request.leaveLane?.() });
  const first = await lines.next();
  const isStuck = noticeStuck(request, reply);
  reply.header('content-type', 'application/x-ndjson').header('x-accel-buffering', 'no');
  const parts = { lines, requestId: request.id, signal: ended.signal, isStuck };
  const stream = first.done === true ? [] : tell(deps, watch.kind, { first: first.value, ...parts });
  return reply.send(Readable.from(stream, { objectMode: false, highWaterMark: 1 }));
}

interface Lines {
  readonly first: string;
  readonly lines: AsyncGenerator<string>;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly isStuck: () => boolean;
}

/** @returns whether the client took nothing for too long, at any time */
function noticeStuck({ raw: { socket } }: FastifyRequest, { raw }: FastifyReply): () => boolean {
  let isStuck = false;
  if (socket instanceof Socket) {
    socket.setTimeout(STUCK_MS); // in the simulation there is none, and no timer may be set
    raw.on('timeout', () => {
      if (isStuck) {
        socket.destroy();
      }
      isStuck = true;
    });
  }
  return () => isStuck;
}

/** The lines, counted as one watcher, and a last one that says why it ends where it does not end by the client's or the server's will. */
async function* tell(
  { metrics, log }: WatchDeps,
  kind: string,
  { first, lines, requestId, signal, isStuck }: Lines,
): AsyncGenerator<string> {
  metrics.watchers.inc({ kind });
  try {
    yield first;
    for await (const line of lines) {
      if (signal.reason === REVOKED) {
        break; // in the midst of a long first list
      }
      if (isStuck()) {
        throw new ApiError('Expired', 'Cannot go on with this watch as its client took nothing of it for too long: list again');
      }
      yield line;
    }
    if (signal.reason === REVOKED) {
      throw new ApiError('Unauthorized', 'Cannot go on watching as the credential was revoked or has expired');
    }
  } catch (error) {
    if (!isClientFault(error)) {
      log.error({ err: error, requestId }, 'watch failed');
    }
    yield toLine({ type: 'ERROR', object: toProblem(toApiError(error, requestId)) });
  } finally {
    metrics.watchers.dec({ kind });
  }
}

async function* readLines<Item extends StoredObject>(
  { store, lines, clock }: WatchDeps,
  watch: WatchRequest<Item>,
  { signal, onListed }: { readonly signal: AbortSignal; readonly onListed: () => void },
): AsyncGenerator<string> {
  let since = watch.since;
  if (since === undefined) {
    const listing = await store.list<Item>(watch.kind, { topic: watch.topic });
    since = listing.version;
    const toAdded = (item: Item): string => toLine({ type: 'ADDED', object: watch.present(item) });
    for (const chunk of toChunks(listing.items.filter(watch.isSelected), toAdded)) {
      yield chunk;
      await clock.sleep(0, signal).catch(() => undefined); // a large fleet is much to write down: others are let in between
    }
  }
  onListed();
  const toText = (item: WatchItem<Item>): string => {
    if (item.type === 'BOOKMARK') {
      return toBookmark(watch.kind, item.version);
    }
    const type = typeInView(item, watch.isSelected);
    if (type === undefined) {
      return '';
    }
    if (type === 'DELETED' && watch.conceal !== undefined) {
      return toLine({ type, object: watch.conceal(item.object) }); // not for others to share
    }
    return lines.find(item.version, type, () => toLine({ type, object: watch.present(item.object) }));
  };
  for await (const batch of store.watchBatches<Item>(watch.kind, since, signal, watch.topic)) {
    yield* toChunks(batch, toText);
  }
}

/** What the change is to a filtered view; undefined when it sees nothing of it. */
export function typeInView<Item extends StoredObject>(
  { type, object, previous }: Change<Item>,
  isSelected: (item: Item) => boolean,
): Change['type'] | undefined {
  const isIn = type !== 'DELETED' && isSelected(object);
  // where the log no longer has the state before, it may have been in: a DELETED of what the client does not know does no harm
  const wasIn = type !== 'ADDED' && (previous === undefined || isSelected(previous));
  if (!isIn) {
    return wasIn ? 'DELETED' : undefined;
  }
  return wasIn ? 'MODIFIED' : 'ADDED';
}

function toBookmark(kind: string, version: number): string {
  return toLine({ type: 'BOOKMARK', object: { kind, metadata: { resourceVersion: String(version) } } });
}

function toLine(event: WatchEvent<StoredObject> | WatchFailure): string {
  return `${JSON.stringify(event)}\n`;
}

/** The items' texts in pieces of about CHUNK_LENGTH, each made when the last one has been taken. */
function* toChunks<Item>(items: readonly Item[], toText: (item: Item) => string): Generator<string> {
  let chunk = '';
  for (const item of items) {
    chunk += toText(item);
    if (chunk.length >= CHUNK_LENGTH) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') {
    yield chunk;
  }
}
