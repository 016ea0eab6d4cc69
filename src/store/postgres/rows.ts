/** The rows of PostgreSQL as what the store keeps in memory, and back. Pure, but for what is read through a session. */
import type { History } from '../change-log.ts';
import type { Documents, StoredDocument } from '../documents.ts';
import { deepFreeze } from '../frozen.ts';
import type { Change, StoredObject } from '../store.ts';
import type { Row, Session } from './session.ts';
import { BEGIN_LOAD, FETCH_CHANGES, FETCH_OBJECTS } from './statements.ts';

/** A change as the database has it. */
export interface LoggedChange {
  readonly version: number;
  readonly kind: string;
  readonly name: string;
  readonly type: Change['type'];
  /** the object as JSON */
  readonly json: string;
  readonly commitId: string;
}

/** The newest change, or that which memory shows. */
export interface Head {
  readonly version: number;
  readonly commitId: string;
}

/** What came after a version. */
export interface Since {
  readonly head: Head;
  /** in order of version */
  readonly changes: readonly LoggedChange[];
}

/** Reads the rows of `readSince`. */
export function toSince(rows: readonly Row[]): Since {
  return { head: toHead(rows[0]), changes: rows.flatMap((row) => (row[2] === null ? [] : [toLoggedChange(row)])) };
}

export function toHead([version, commitId]: Row = []): Head {
  return { version: Number(version ?? 0), commitId: typeof commitId === 'string' ? commitId : '' };
}

function toLoggedChange([, , version, kind, name, type, json, commitId]: Row): LoggedChange {
  return {
    version: Number(version),
    kind: String(kind),
    name: String(name),
    type: type as Change['type'],
    json: String(json),
    commitId: String(commitId),
  };
}

/** The change as watchers see it. @param previous the state before */
export function toChange({ type, version, json }: LoggedChange, previous: StoredObject | undefined): Change {
  const object = deepFreeze(JSON.parse(json) as StoredObject);
  return { type, version, object, ...(type !== 'ADDED' && previous !== undefined && { previous }) };
}

/** The values of the statement WRITE. */
export function toWriteValues(before: Head, changes: readonly Change[], commitId: string): readonly unknown[] {
  const lastIndex = new Map(changes.map(({ object }, index) => [`${object.kind}\0${object.metadata.name}`, index]));
  const column = <Value>(of: (change: Change, index: number) => Value): readonly Value[] => changes.map(of);
  return [
    before.version,
    changes.at(-1)?.version ?? before.version,
    commitId,
    column(({ version }) => version),
    column(({ object }) => object.kind),
    column(({ object }) => object.metadata.name),
    column(({ type }) => type),
    column(({ object }) => object.metadata.uid),
    column(({ object }) => JSON.stringify(object)),
    column(({ object }, index) => lastIndex.get(`${object.kind}\0${object.metadata.name}`) === index),
    before.commitId,
  ];
}

export interface Snapshot {
  readonly documents: readonly StoredDocument[];
  readonly head: Head;
  readonly logged: readonly LoggedChange[];
}

/** Reads all there is, as of one moment. A session that fails amid it is given up. */
export async function readSnapshot(session: Session): Promise<Snapshot> {
  try {
    return await readAll(session);
  } catch (error) {
    session.destroy(); // its transaction is broken
    throw error;
  }
}

async function readAll(session: Session): Promise<Snapshot> {
  const results = await session.script(BEGIN_LOAD);
  const head = toHead(results[1]?.[0]);
  const documents: StoredDocument[] = [];
  for (let rows = await session.query(FETCH_OBJECTS); rows.length > 0; rows = await session.query(FETCH_OBJECTS)) {
    for (const [kind, name, objectVersion, json] of rows) {
      documents.push({ kind: String(kind), name: String(name), version: Number(objectVersion), json: String(json) });
    }
  }
  const logged: LoggedChange[] = [];
  for (let rows = await session.query(FETCH_CHANGES); rows.length > 0; rows = await session.query(FETCH_CHANGES)) {
    logged.push(...rows.map(toLoggedChange));
  }
  await session.query('COMMIT');
  return { documents, head, logged };
}

/** The past as a change log takes it. @param documents that of the same snapshot, whose current objects it shares */
export function toHistory({ head: { version }, logged }: Snapshot, documents: Documents): History {
  const contiguous = lastRun(logged, version);
  const latest = new Map<string, StoredObject>();
  const changes = contiguous.map((change): Change => {
    const { kind, name, type } = change;
    const key = `${kind}\0${name}`;
    const isCurrent = type !== 'DELETED' && documents.findVersion(kind, name) === change.version;
    const current = isCurrent ? documents.get(kind, name) : undefined;
    const previous = latest.get(key);
    const result =
      current === undefined
        ? toChange(change, previous)
        : { type, version: change.version, object: current, ...(type !== 'ADDED' && previous !== undefined && { previous }) };
    latest.set(key, result.object);
    return result;
  });
  return { version, floor: (contiguous[0]?.version ?? version + 1) - 1, changes };
}

/** The changes that lead to `version` without a gap. */
function lastRun(logged: readonly LoggedChange[], version: number): readonly LoggedChange[] {
  let start = logged.length;
  for (let expected = version; start > 0 && logged[start - 1]?.version === expected; expected -= 1) {
    start -= 1;
  }
  return logged.slice(start);
}
