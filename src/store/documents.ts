/**
 * Documents: the current state of every object, in memory.
 *
 * Owns     kind -> name -> object, but for kinds that are on the shelf; and the version that this state shows.
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
import { isOfTopic, type Topic } from './topic.ts';

/** One object; `content` is its JSON until first asked for. Mutable, so that an update leaves the sorted order alone. */
interface Entry {
  readonly name: string;
  version: number;
  content: string | StoredObject;
}

/** What is so rarely read that nothing of it is kept in memory, not even its names: the backend has exactly what would be here. */
export interface Shelf {
  readonly kinds: ReadonlySet<string>;
  /** The object as JSON; undefined: there is none. @throws {ApiError} Unavailable */
  read(kind: string, name: string): string | undefined;
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

  /** Takes in what the backend has, in place of what was here; nothing of what is on the shelf. */
  load(documents: Iterable<StoredDocument>, version: number): void {
    this.#tables.clear();
    for (const { kind, name, version: objectVersion, json } of documents) {
      if (this.#shelf?.kinds.has(kind) === true) {
        continue;
      }
      this.#table(kind).byName.set(name, { name, version: objectVersion, content: json });
    }
    this.#version = version;
  }

  get(kind: string, name: string): StoredObject | undefined {
    if (this.#shelf?.kinds.has(kind) === true) {
      const json = this.#shelf.read(kind, name);
      return json === undefined ? undefined : parse(json);
    }
    const entry = this.#tables.get(kind)?.byName.get(name);
    return entry === undefined ? undefined : decode(entry);
  }

  /** The version at which an object was last written; reads no document. Knows nothing of the shelf. */
  findVersion(kind: string, name: string): number | undefined {
    return this.#tables.get(kind)?.byName.get(name)?.version;
  }

  list(kind: string, page: Page = {}): Listing {
    if (this.#shelf?.kinds.has(kind) === true) {
      return { items: pageOf(this.#shelf.readAll(kind).map(parse), page), version: this.#version };
    }
    const table = this.#tables.get(kind);
    const entries = table === undefined ? [] : page.topic === undefined ? sort(table) : sortTopic(table, page.topic);
    const start = page.after === undefined ? 0 : indexAfter(entries, page.after);
    const end = page.limit === undefined ? entries.length : start + page.limit;
    return { items: entries.slice(start, end).map(decode), version: this.#version };
  }

  /** All there is now: what is here is never changed, so that it can be written down at leisure. */
  snapshot(): Snapshot {
    const kept = [...this.#tables.values()].flatMap(({ byName }) => Array.from(byName.values(), ({ content }) => content));
    const shelved = [...(this.#shelf?.kinds ?? [])].flatMap((kind) => this.#shelf?.readAll(kind) ?? []);
    return { version: this.#version, documents: toTexts([...kept, ...shelved]) };
  }

  /** Takes in one change that is durable. */
  apply(change: Change): void {
    const { kind, metadata } = change.object;
    this.#version = change.version;
    if (this.#shelf?.kinds.has(kind) === true) {
      return; // the backend has it already
    }
    const table = this.#table(kind);
    const entry = table.byName.get(metadata.name);
    if (table.topics.size > 0) {
      const before = change.previous ?? (entry && decode(entry));
      table.topics.forEach((topic) => topic.update(before, change.type === 'DELETED' ? undefined : change.object));
    }
    if (change.type === 'DELETED') {
      remove(table, metadata.name);
    } else if (entry === undefined) {
      add(table, { name: metadata.name, version: change.version, content: change.object });
    } else {
      entry.version = change.version;
      entry.content = change.object;
    }
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

/** The entries of a topic by name. */
function sortTopic(table: Table, { field, value }: Topic): Entry[] {
  const topic = table.topics.get(field) ?? new TopicIndex(field, table.byName.values().map(decode));
  table.topics.set(field, topic);
  const entries = Array.from(topic.find(value), (name) => table.byName.get(name)).filter((entry) => entry !== undefined);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A page of objects that are in no order. */
function pageOf(objects: readonly StoredObject[], { after, limit, topic }: Page): readonly StoredObject[] {
  const isAsked = (object: StoredObject): boolean =>
    (after === undefined || object.metadata.name > after) && (topic === undefined || isOfTopic(object, topic));
  return objects
    .filter(isAsked)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .slice(0, limit);
}

function decode(entry: Entry): StoredObject {
  if (typeof entry.content === 'string') {
    entry.content = parse(entry.content);
  }
  return entry.content;
}

function parse(json: string): StoredObject {
  return deepFreeze(JSON.parse(json) as StoredObject);
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
