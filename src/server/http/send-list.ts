/**
 * Lists as answers: a short one whole, a long one in pieces, each made when the one before has been taken, with a turn of the event loop
 * in between: 10,000 nodes at once are 0.2 s in which no heartbeat is taken in, and 25 MB that lie there.
 *
 * Callers  send-collection.ts
 */
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import type { ObjectList } from '../../api/meta.ts';
import type { Clock } from '../../base/clock.ts';
import type { StoredObject } from '../../store/store.ts';
import type { FoundList } from './list.ts';

/** Objects that are written down in one turn: some 2 ms. */
const PIECE = 100;
const NEVER = new AbortController().signal; // the stream's end ends it

export function sendList<Item extends StoredObject>(
  { items, present, ...list }: FoundList<Item>,
  { reply, clock }: { readonly reply: FastifyReply; readonly clock: Clock },
): ObjectList<StoredObject> | FastifyReply {
  if (items.length <= PIECE) {
    return { ...list, items: items.map(present) };
  }
  const head = JSON.stringify({ ...list, items: [] }).slice(0, -2);
  const pieces = writePieces(items, present, clock);
  reply.header('content-type', 'application/json; charset=utf-8');
  return reply.send(Readable.from(withEnds(head, pieces), { objectMode: false, highWaterMark: 1 }));
}

async function* withEnds(head: string, pieces: AsyncGenerator<string>): AsyncGenerator<string> {
  yield head;
  yield* pieces;
  yield ']}';
}

async function* writePieces<Item>(items: readonly Item[], present: (item: Item) => StoredObject, clock: Clock): AsyncGenerator<string> {
  for (let start = 0; start < items.length; start += PIECE) {
    const texts = items.slice(start, start + PIECE).map((item) => JSON.stringify(present(item)));
    yield `${start === 0 ? '' : ','}${texts.join(',')}`;
    await clock.sleep(0, NEVER);
  }
}
