/** Clients that use one store, or several servers on one, at random and at once; everything they ask and hear is recorded. */
import { setImmediate as turn } from 'node:timers/promises';
import { hasReason } from '../../../src/api/errors.ts';
import type { Random } from '../../../src/base/random.ts';
import type { Store, Write } from '../../../src/store/store.ts';
import type { History, ListRecord, Outcome, ReadRecord, WatchRecord, WriteRecord } from './history.ts';
import { draft, type Thing } from './store-backends.ts';

const NAMES = ['a', 'b', 'c', 'd'];

export interface WorkloadOptions {
  /** one for each server; clients are spread over them */
  readonly stores: readonly Store[];
  readonly random: Random;
  readonly clients: number;
  readonly steps: number;
}

class Recorder {
  readonly writes: WriteRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly lists: ListRecord[] = [];
  readonly watches: WatchRecord[] = [];
  #time = 0;
  #value = 0;

  now(): number {
    return (this.#time += 1);
  }

  nextValue(): number {
    return (this.#value += 1);
  }
}

/** Runs to the end of all clients and the catching up of all watchers. */
export async function runWorkload({ stores, random, clients, steps }: WorkloadOptions): Promise<History> {
  const recorder = new Recorder();
  const stop = new AbortController();
  const storeOf = (index: number): Store => stores[index % stores.length] as Store;
  const watchers = Array.from({ length: clients }, (_, client) => watch(recorder, storeOf(client), { random, signal: stop.signal }));
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(recorder, storeOf(client), { client, random, steps })));
  await Promise.all(stores.map((store) => store.refresh()));
  const newest = Math.max(...(await Promise.all(stores.map((store) => store.version()))));
  await Promise.all(watchers.map((watcher) => watcher.reach(newest)));
  stop.abort();
  await Promise.all(watchers.map((watcher) => watcher.ended));
  return recorder;
}

async function runClient(
  recorder: Recorder,
  store: Store,
  { client, random, steps }: { readonly client: number; readonly random: Random; readonly steps: number },
): Promise<void> {
  const known = new Map<string, number>();
  for (let step = 0; step < steps; step += 1) {
    const name = NAMES[Math.floor(random.next() * NAMES.length)] as string;
    const dice = random.next();
    if (dice < 0.25) {
      known.set(name, await read(recorder, store, { client, name }));
    } else if (dice < 0.35) {
      await list(recorder, store, client);
    } else {
      const op = dice < 0.55 ? 'create' : dice < 0.85 ? 'update' : 'delete';
      const expected = op !== 'create' && random.next() < 0.7 ? known.get(name) : undefined;
      await write(recorder, store, { client, op, name, expected });
    }
    for (let pause = Math.floor(random.next() * 3); pause > 0; pause -= 1) {
      await turn();
    }
  }
}

async function read(
  recorder: Recorder,
  store: Store,
  { client, name }: { readonly client: number; readonly name: string },
): Promise<number> {
  const askedAt = recorder.now();
  await store.refresh();
  const object = await store.get<Thing>('Thing', name);
  const seen = object && { value: object.spec.value, version: Number(object.metadata.resourceVersion) };
  recorder.reads.push({ client, name, askedAt, answeredAt: recorder.now(), seen });
  return seen?.version ?? 1;
}

async function list(recorder: Recorder, store: Store, client: number): Promise<void> {
  const askedAt = recorder.now();
  await store.refresh();
  const { items, version } = await store.list<Thing>('Thing');
  const seen = new Map(
    items.map(({ metadata, spec }) => [metadata.name, { value: spec.value, version: Number(metadata.resourceVersion) }]),
  );
  recorder.lists.push({ client, askedAt, answeredAt: recorder.now(), version, items: seen });
}

interface Attempt {
  readonly client: number;
  readonly op: WriteRecord['op'];
  readonly name: string;
  readonly expected: number | undefined;
}

async function write(recorder: Recorder, store: Store, { client, op, name, expected }: Attempt): Promise<void> {
  const value = recorder.nextValue();
  const expectedVersion = expected === undefined ? {} : { expectedVersion: String(expected) };
  const wanted: Write =
    op === 'delete'
      ? { op, kind: 'Thing', name, ...expectedVersion }
      : op === 'create'
        ? { op, object: draft(name, value) }
        : { op, object: draft(name, value), ...expectedVersion };
  const askedAt = recorder.now();
  const outcome = await store.commit([wanted]).then(
    ([stored]): Outcome => ({ kind: 'written', version: Number(stored?.metadata.resourceVersion) }),
    (error: unknown): Outcome => {
      if (hasReason(error, 'AlreadyExists', 'NotFound', 'Conflict')) {
        return { kind: 'refused', reason: error.reason as 'Conflict' };
      }
      if (hasReason(error, 'Unavailable')) {
        return { kind: 'unknown' };
      }
      throw error;
    },
  );
  recorder.writes.push({
    client,
    op,
    name,
    value,
    askedAt,
    answeredAt: recorder.now(),
    outcome,
    ...(expected !== undefined && { expected }),
  });
}

interface Watching {
  /** Resolves when everything up to this version has been given. */
  reach(version: number): Promise<void>;
  readonly ended: Promise<void>;
}

/** Follows from 0, cutting its stream off and resuming now and then; one record for all of it. */
function watch(recorder: Recorder, store: Store, { random, signal }: { readonly random: Random; readonly signal: AbortSignal }): Watching {
  const events: WatchRecord['events'][number][] = [];
  let until = 0;
  const follow = async (): Promise<void> => {
    const cut = new AbortController();
    for await (const item of store.watch<Thing>('Thing', until, AbortSignal.any([signal, cut.signal]))) {
      until = item.version;
      if (item.type !== 'BOOKMARK') {
        events.push({ version: item.version, type: item.type, name: item.object.metadata.name, value: item.object.spec.value });
        if (random.next() < 0.05) {
          cut.abort();
        }
      }
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await follow();
    }
    recorder.watches.push({ since: 0, until, events });
  };
  return {
    reach: async (version) => {
      while (until < version) {
        await turn();
      }
    },
    ended: run(),
  };
}
