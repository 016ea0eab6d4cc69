/**
 * Documents: the current state of every object, in memory.
 *
 * Owns     kind -> name -> object, and the version that this state shows.
 * Never    decides whether a write may happen (write-batch.ts) or makes it durable (the journal): it is told what has happened.
 * Callers  document-store.ts, postgres/postgres-store.ts; a backend fills it at start.
 *
 * Why in memory, with SQLite as the durable copy only: the server's controllers hold every object anyway (mirror.ts) and share these very
 * objects, so this costs no second copy; a get is two Map lookups, and a list of 100,000 is a slice instead of 100,000 parses.
 * What comes from disk stays JSON text until somebody first asks for it, as opening a file with 200,000 documents of 1.3 KB takes 1.2 s of
 * CPU and parsing and freezing them 1.5 s more. Measured per object: 1.5 KB as text, 1.7 KB decoded.
 * Kinds that hardly anybody reads, but of which there is one for each node, can be left to the backend (Shelf).
 */
import { deepFreeze } from './frozen.ts';
import type { Change, Listing, Page, Snapshot, StoredObject } from './store.ts';
import { TopicIndex } from './topic-index.ts';
import type { Topic } from './topic.ts';

/**
 * One object; `content` is its JSON until first asked for, and undefined where the backend alone has it. Mutable, so that an update leaves
 * the sorted order alone.
 */
interface Entry {
  readonly name: string;
  version: number;
  content: string | StoredObject | undefined;
}

/** What is so rarely read that it is not kept in memory: at each moment the backend has exactly what is here. */
export interface Shelf {
  readonly kinds: ReadonlySet<string>;
  /** The object as JSON, which must be there. @throws {ApiError} Unavailable */
  read(kind: string, name: string): string;
  /** All of a kind as JSON. @throws {ApiError} Unavailable */
  readAll(kind: string): readonly string[];
}

/** An object as a backend kept it. */
export interface StoredDocument {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  /** the whole object as JSON */
  readonly json: string;
}

/** More creations than this between two lists are cheaper to sort all anew than to insert one by one (some 30 us each among 100,000). */
const INSERTION_LIMIT = 200;

interface Table {
  readonly byName: Map<string, Entry>;
  /** all entries but those in `created`, by name; undefined until the next list makes it */
  sorted: Entry[] | undefined;
  /** what has come since `sorted` was made */
  created: Entry[];
  /** field -> what it is in which object; of the fields that were asked for */
  readonly topics: Map<string, TopicIndex>;
}

export class Documents {
  readonly #tables = new Map<string, Table>();
  readonly #shelf: Shelf | undefined;
  #version = 0;

  constructor(shelf?: Shelf) {
    this.#shelf = shelf;
  }

  /** The newest version that the state shows. */
  get version(): number {
    return this.#version;
  }

  /** Takes in what the backend has, in place of what was here. */
  load(documents: Iterable<StoredDocument>, version: number): void {
    this.#tables.clear();
    for (const { kind, name, version: objectVersion, json } of documents) {
      this.#table(kind).byName.set(name, { name, version: objectVersion, content: json });
    }
    this.#version = version;
  }

  get(kind: string, name: string): StoredObject | undefined {
    const entry = this.#tables.get(kind)?.byName.get(name);
    return entry === undefined ? undefined : this.#decode(kind, entry);
  }

  /** The version at which an object was last written; reads no document. */
  findVersion(kind: string, name: string): number | undefined {
    return this.#tables.get(kind)?.byName.get(name)?.version;
  }

  list(kind: string, page: Page = {}): Listing {
    const table = this.#tables.get(kind);
    const entries = table === undefined ? [] : page.topic === undefined ? sort(table) : this.#sortTopic(kind, table, page.topic);
    const start = page.after === undefined ? 0 : indexAfter(entries, page.after);
    const end = page.limit === undefined ? entries.length : start + page.limit;
    return { items: entries.slice(start, end).map((entry) => this.#decode(kind, entry)), version: this.#version };
  }

  /** All there is now: what is here is never changed, so that it can be written down at leisure. */
  snapshot(): Snapshot {
    const contents = [...this.#tables].flatMap(([kind, { byName }]): readonly (string | StoredObject)[] => {
      const kept = Array.from(byName.values(), ({ content }) => content).filter((content) => content !== undefined);
      return kept.length === byName.size ? kept : (this.#shelf?.readAll(kind) ?? []);
    });
    return { version: this.#version, documents: toTexts(contents) };
  }

  /** Takes in one change that is durable. */
  apply(change: Change): void {
    const { kind, metadata } = change.object;
    const table = this.#table(kind);
    const entry = table.byName.get(metadata.name);
    if (table.topics.size > 0) {
      const before = change.previous ?? (entry && this.#decode(kind, entry)); // the backend has the new state already
      table.topics.forEach((topic) => topic.update(before, change.type === 'DELETED' ? undefined : change.object));
    }
    const content = this.#shelf?.kinds.has(kind) === true ? undefined : change.object;
    if (change.type === 'DELETED') {
      remove(table, metadata.name);
    } else if (entry === undefined) {
      add(table, { name: metadata.name, version: change.version, content });
    } else {
      entry.version = change.version;
      entry.content = content;
    }
    this.#version = change.version;
  }

  /** The entries of a topic by name. */
  #sortTopic(kind: string, table: Table, { field, value }: Topic): Entry[] {
    const topic =
      table.topics.get(field) ??
      new TopicIndex(
        field,
        table.byName.values().map((entry) => this.#decode(kind, entry)),
      );
    table.topics.set(field, topic);
    const entries = Array.from(topic.find(value), (name) => table.byName.get(name)).filter((entry) => entry !== undefined);
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #decode(kind: string, entry: Entry): StoredObject {
    if (typeof entry.content === 'object') {
      return entry.content;
    }
    const object = deepFreeze(JSON.parse(entry.content ?? this.#read(kind, entry.name)) as StoredObject);
    // what is on the shelf was loaded as text, for the one list of it at the start
    entry.content = this.#shelf?.kinds.has(kind) === true ? undefined : object;
    return object;
  }

  #read(kind: string, name: string): string {
    if (this.#shelf === undefined) {
      throw new Error(`Cannot read ${kind} "${name}" as it is neither in memory nor on a shelf`);
    }
    return this.#shelf.read(kind, name);
  }

  #table(kind: string): Table {
    const known = this.#tables.get(kind);
    if (known !== undefined) {
      return known;
    }
    const table: Table = { byName: new Map(), sorted: undefined, created: [], topics: new Map() };
    this.#tables.set(kind, table);
    return table;
  }
}

function add(table: Table, entry: Entry): void {
  table.byName.set(entry.name, entry);
  if (table.sorted !== undefined) {
    table.created.push(entry);
  }
  if (table.created.length > INSERTION_LIMIT) {
    table.sorted = undefined;
    table.created = [];
  }
}

function remove(table: Table, name: string): void {
  if (table.sorted !== undefined) {
    const sorted = sort(table);
    sorted.splice(indexAfter(sorted, name) - 1, 1);
  }
  table.byName.delete(name);
}

/** All entries of a table by name, by code unit. */
function sort(table: Table): Entry[] {
  const sorted = table.sorted ?? [...table.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of table.created) {
    sorted.splice(indexAfter(sorted, entry.name), 0, entry);
  }
  table.created = [];
  table.sorted = sorted;
  return sorted;
}

function* toTexts(contents: readonly (string | StoredObject)[]): Generator<string> {
  for (const content of contents) {
    yield typeof content === 'string' ? content : JSON.stringify(content);
  }
}

/** Where the entries begin whose names come after `name`. */
function indexAfter(entries: readonly Entry[], name: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.name ?? '') <= name) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
