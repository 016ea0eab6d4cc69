/**
 * Watch responses: changes of one kind as JSON lines, for as long as the client listens.
 *
 * Owns     one stream per client; nothing is queued for it: the store keeps the changes, and the next is taken when the client has
 *          taken the last. A client that falls behind what the store keeps gets an ERROR line (410) and lists again.
 * Never    misses what enters or leaves a filtered view: it enters as ADDED and leaves as DELETED.
 * Callers  routes/resource-routes.ts.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { toProblem } from '../../api/errors.ts';
import type { WatchEvent, WatchFailure } from '../../api/watch-event.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Change, Store, StoredObject } from '../../store/store.ts';
import { isClientFault, toApiError } from './problem-reply.ts';

/** Objects per write while the first list goes out. */
const CHUNK_SIZE = 100;

/** ms; four bookmarks: whose connection takes nothing for so long is gone, or as good as gone. */
const STUCK_MS = 120_000;

export interface WatchDeps {
  readonly store: Store;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

export interface WatchRequest<Item extends StoredObject> {
  readonly kind: Item['kind'];
  /** only changes after this version; undefined: first ADDED for each object that is there */
  readonly since: number | undefined;
  readonly isSelected: (item: Item) => boolean;
  readonly present: (item: Item) => StoredObject;
}

/** Sends the stream. @throws {ApiError} Expired before anything is sent when `since` is too old */
export async function sendWatch<Item extends StoredObject>(
  deps: WatchDeps,
  watch: WatchRequest<Item>,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<FastifyReply> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  deps.stopSignal.addEventListener('abort', end);
  if (deps.stopSignal.aborted) {
    end();
  }
  reply.raw.once('close', () => {
    deps.stopSignal.removeEventListener('abort', end);
    end(); // wakes a generator that waits for a change, so that it can return
  });
  const lines = readLines(deps.store, watch, ended.signal);
  const first = await lines.next();
  const { socket } = request.raw;
  if (socket instanceof Socket) {
    socket.setTimeout(STUCK_MS); // in the simulation there is none, and no timer may be set
  }
  reply.header('content-type', 'application/x-ndjson').header('x-accel-buffering', 'no');
  const stream = first.done === true ? [] : tell(deps, watch.kind, { first: first.value, lines, requestId: request.id });
  return reply.send(Readable.from(stream, { objectMode: false, highWaterMark: 1 }));
}

interface Lines {
  readonly first: string;
  readonly lines: AsyncGenerator<string>;
  readonly requestId: string;
}

/** The lines, counted as one watcher, and a last one that says why it ends where it does not end by the client's or the server's will. */
async function* tell({ metrics, log }: WatchDeps, kind: string, { first, lines, requestId }: Lines): AsyncGenerator<string> {
  metrics.watchers.inc({ kind });
  try {
    yield first;
    yield* lines;
  } catch (error) {
    if (!isClientFault(error)) {
      log.error({ err: error, requestId }, 'watch failed');
    }
    yield toLine({ type: 'ERROR', object: toProblem(toApiError(error, requestId)) });
  } finally {
    metrics.watchers.dec({ kind });
  }
}

async function* readLines<Item extends StoredObject>(store: Store, watch: WatchRequest<Item>, signal: AbortSignal): AsyncGenerator<string> {
  let since = watch.since;
  if (since === undefined) {
    const listing = await store.list<Item>(watch.kind);
    since = listing.version;
    yield* toChunks(listing.items.filter(watch.isSelected).map((item) => toLine({ type: 'ADDED', object: watch.present(item) })));
  }
  for await (const item of store.watch<Item>(watch.kind, since, signal)) {
    const event = item.type === 'BOOKMARK' ? toBookmark(watch.kind, item.version) : toEvent(item, watch);
    if (event !== undefined) {
      yield toLine(event);
    }
  }
}

/** The change as the filtered view sees it; undefined when it sees nothing of it. */
export function toEvent<Item extends StoredObject>(
  change: Change<Item>,
  { isSelected, present }: Pick<WatchRequest<Item>, 'isSelected' | 'present'>,
): WatchEvent<StoredObject> | undefined {
  const { type, object, previous } = change;
  const isIn = type !== 'DELETED' && isSelected(object);
  // where the log no longer has the state before, it may have been in: a DELETED of what the client does not know does no harm
  const wasIn = type !== 'ADDED' && (previous === undefined ? true : isSelected(previous));
  if (!isIn && !wasIn) {
    return undefined;
  }
  return { type: !isIn ? 'DELETED' : wasIn ? 'MODIFIED' : 'ADDED', object: present(object) };
}

function toBookmark(kind: string, version: number): WatchEvent<never> {
  return { type: 'BOOKMARK', object: { kind, metadata: { resourceVersion: String(version) } } };
}

function toLine(event: WatchEvent<StoredObject> | WatchFailure): string {
  return `${JSON.stringify(event)}\n`;
}

function* toChunks(lines: readonly string[]): Generator<string> {
  for (let index = 0; index < lines.length; index += CHUNK_SIZE) {
    yield lines.slice(index, index + CHUNK_SIZE).join('');
  }
}
