import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { pino } from 'pino';
import { hasReason } from '../../api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { ChangeLog } from '../change-log.ts';
import { createDocumentStore } from '../document-store.ts';
import { Documents } from '../documents.ts';
import type { Draft, Store } from '../store.ts';
import { openDatabase } from './open-database.ts';
import { createSqliteJournal, loadDatabase } from './sqlite-journal.ts';

/** A store over a database that the test can make full. */
async function openFixture() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const database = await openDatabase({ path: ':memory:', clock: systemClock, log });
  lines.length = 0;
  const store = createDocumentStore({
    documents: new Documents(),
    changeLog: new ChangeLog({ clock: systemClock, logSize: 100 }),
    journal: createSqliteJournal({ database, path: ':memory:', logSize: 100 }),
    defer: queueMicrotask,
    log,
  });
  return { database, store, lines };
}

function draft(name: string, text: string): Draft {
  const times = { createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z' };
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name, labels: {}, annotations: { text }, uid: name, generation: 1, ...times } };
}

function fill(database: DatabaseSync): void {
  database.exec('VACUUM'); // migrations leave free pages
  const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
  database.exec(`PRAGMA max_page_count = ${pages + 2}`); // SQLITE_FULL, as when the disk is
}

const isUnavailable = (error: unknown): boolean => {
  assert.ok(hasReason(error, 'Unavailable'), String(error));
  assert.match(error.message, /^Cannot write to database :memory: as the disk is full, free some space/u);
  return true;
};

async function names(store: Store): Promise<readonly string[]> {
  return (await store.list('Thing')).items.map((item) => item.metadata.name);
}

it('a full disk makes the whole group Unavailable, nothing half done, and the store goes on when there is space again', async () => {
  const { database, store, lines } = await openFixture();
  await store.commit([{ op: 'create', object: draft('before', '') }]);
  fill(database);
  const large = 'x'.repeat(60_000);
  const group = await Promise.allSettled([
    store.commit([{ op: 'create', object: draft('small', '') }]),
    store.commit([{ op: 'create', object: draft('large', large) }]),
    store.commit([{ op: 'create', object: draft('before', '') }]),
    store.commit([{ op: 'check', kind: 'Thing', name: 'small', expectedVersion: '2' }]),
  ]);
  assert.ok(group.every((outcome) => outcome.status === 'rejected' && isUnavailable(outcome.reason)));
  await assert.rejects(store.commit([{ op: 'create', object: draft('large', large) }]), isUnavailable);
  assert.deepEqual(await names(store), ['before'], 'reading goes on');
  assert.equal(database.prepare('SELECT count(*) AS n FROM changes').get()?.['n'], 1);

  database.exec('PRAGMA max_page_count = 1000000');
  const [created] = await store.commit([{ op: 'create', object: draft('large', large) }]);
  assert.equal(created?.metadata.resourceVersion, '2');
  assert.deepEqual(await names(store), ['before', 'large']);
  assert.deepEqual(
    lines.map((line) => [line['msg'], line['detail'], line['refused']]),
    [
      [
        'store cannot write',
        'Cannot write to database :memory: as the disk is full, free some space on it: database or disk is full',
        undefined,
      ],
      ['store writes again', undefined, 5],
    ],
    'one line when it begins to fail, with the reason; one when it is over, with how many commits were refused',
  );
  await store.close();
});

it('ping() fails while the last write was refused, and finds out by itself when there is space again', async () => {
  const { database, store, lines } = await openFixture();
  await store.ping();
  fill(database);
  await store.ping(); // nobody has been refused
  await assert.rejects(store.commit([{ op: 'create', object: draft('large', 'x'.repeat(60_000)) }]), isUnavailable);
  await assert.rejects(store.ping(), isUnavailable);
  await assert.rejects(store.ping(), isUnavailable);
  database.exec('PRAGMA max_page_count = 1000000');
  await store.ping();
  await store.ping();
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['store cannot write', 'store writes again'],
  );
  assert.equal(database.prepare('SELECT count(*) AS n FROM changes').get()?.['n'], 0, 'nothing is left of the probe');
  const [created] = await store.commit([{ op: 'create', object: draft('a', '') }]);
  assert.equal(created?.metadata.resourceVersion, '1');
  await store.close();
});

it('commits that arrive together share one transaction', async () => {
  const { database, store } = await openFixture();
  let begun = 0;
  database.setAuthorizer((action, detail) => {
    begun += action === 22 && detail === 'BEGIN' ? 1 : 0; // SQLITE_TRANSACTION
    return 0;
  });
  await Promise.all(Array.from({ length: 50 }, (_, index) => store.commit([{ op: 'create', object: draft(`n${index}`, '') }])));
  assert.equal(begun, 1);
  await store.close();
});

it('readers and watchers see a change only once it is durable', async () => {
  const { database, store } = await openFixture();
  const stop = new AbortController();
  const watcher = store.watch('Thing', 0, stop.signal)[Symbol.asyncIterator]();
  await watcher.next();
  let isCommitting = false;
  let listedAtCommit: Promise<readonly string[]> | undefined;
  const seen = watcher.next().then(() => assert.ok(isCommitting, 'a watcher was first'));
  database.setAuthorizer((action, detail) => {
    if (action === 22 && detail === 'COMMIT') {
      isCommitting = true;
      listedAtCommit = names(store);
    }
    return 0;
  });
  const committed = store.commit([{ op: 'create', object: draft('a', '') }]);
  assert.deepEqual(await names(store), []);
  await committed;
  assert.deepEqual(await listedAtCommit, []);
  assert.deepEqual(await names(store), ['a']);
  await seen;
  stop.abort();
  await store.close();
});

it('loadDatabase() gives back the changes with what was before them, sharing the current objects', async () => {
  const { database, store } = await openFixture();
  await store.commit([{ op: 'create', object: draft('a', '1') }]);
  await store.commit([{ op: 'update', object: draft('a', '2') }]);
  await store.commit([{ op: 'create', object: draft('b', '') }]);
  await store.commit([{ op: 'delete', kind: 'Thing', name: 'b' }]);
  const documents = new Documents();
  const history = loadDatabase(database, documents, ':memory:');
  assert.deepEqual([history.version, history.floor], [4, 0]);
  assert.deepEqual(
    history.changes.map(({ type, previous }) => [type, previous?.metadata.resourceVersion]),
    [
      ['ADDED', undefined],
      ['MODIFIED', '1'],
      ['ADDED', undefined],
      ['DELETED', '3'],
    ],
  );
  assert.equal(history.changes[1]?.object, documents.get('Thing', 'a'));
  await store.close();
});

it('a document is written once: a change has its own only when another has come after it, and while the log has it', async () => {
  const { database, store } = await openFixture();
  const count = (): readonly unknown[] =>
    ['objects', 'changes', 'superseded'].map((table) => database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
  await store.commit([{ op: 'create', object: draft('a', '1') }]);
  assert.deepEqual(count(), [1, 1, 0]);
  await store.commit([{ op: 'update', object: draft('a', '2') }]);
  assert.deepEqual(count(), [1, 2, 1]);
  await store.commit([{ op: 'delete', kind: 'Thing', name: 'a' }]);
  assert.deepEqual(count(), [0, 3, 3]);
  await store.commit([{ op: 'create', object: draft('kept', '') }]);
  // past the log and past one round of compaction
  await store.commit(Array.from({ length: 1_200 }, (_, index) => ({ op: 'create' as const, object: draft(`n${index}`, '') })));
  await store.commit([{ op: 'update', object: draft('kept', 'again') }]);
  const [objects, changes, superseded] = count();
  assert.deepEqual([objects, superseded], [1_201, 0], 'what the log no longer has is not kept for it');
  assert.ok(Number(changes) < 1_200);
  await store.close();
});

it('a file that has grown gives back what it does not need, as changes go on', async () => {
  const { database, store } = await openFixture();
  const pages = (): number => Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
  const large = 'x'.repeat(20_000);
  await store.commit(Array.from({ length: 1_500 }, (_, index) => ({ op: 'create' as const, object: draft(`n${index}`, large) })));
  const grown = pages();
  await store.commit(Array.from({ length: 1_500 }, (_, index) => ({ op: 'delete' as const, kind: 'Thing', name: `n${index}` })));
  for (let round = 0; round < 15; round += 1) {
    await store.commit(
      Array.from({ length: 1_000 }, (_, value) => ({
        op: value === 0 && round === 0 ? ('create' as const) : ('update' as const),
        object: draft('a', String(value)),
      })),
    );
  }
  assert.ok(pages() < grown / 2, `${pages()} of ${grown} pages`);
  await store.close();
});
