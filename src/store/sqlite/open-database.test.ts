import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { hasReason, type Reason } from '../../api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { createSqliteStore } from './sqlite-store.ts';

const log = pino({ level: 'silent' });
let folder = '';
let count = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cara-open-'));
});
after(() => rm(folder, { recursive: true }));

function newPath(): string {
  count += 1;
  return join(folder, `file-${count}.db`);
}

const open = (path: string) => createSqliteStore({ path, clock: systemClock, log });

const refusal =
  (reason: Reason, ...parts: readonly (string | RegExp)[]) =>
  (error: unknown): boolean => {
    assert.ok(hasReason(error, reason), String(error));
    for (const part of parts) {
      assert.match(error.message, typeof part === 'string' ? new RegExp(RegExp.escape(part), 'u') : part);
    }
    assert.doesNotMatch(error.message, /\n|\.$/u, 'a message is one sentence');
    return true;
  };

/** Makes a database of ours, then lets `change` at it. */
async function makeDatabase(change: (database: DatabaseSync) => void): Promise<string> {
  const path = newPath();
  const store = await open(path);
  await store.close();
  const database = new DatabaseSync(path);
  change(database);
  database.close();
  return path;
}

describe('openDatabase()', () => {
  it('makes a file, and the folder it is in, that only its owner can read', async () => {
    const path = join(folder, 'new', 'folder', 'cara.db');
    const store = await open(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'new')).mode & 0o777, 0o700);
    await store.close();
  });

  it('takes an empty file for a new database, and closes it to other readers', async () => {
    const path = newPath();
    writeFileSync(path, '', { mode: 0o644 });
    const store = await open(path);
    assert.equal(await store.version(), 0);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await store.close();
  });

  it('refuses a database of a newer version', async () => {
    const path = await makeDatabase((database) => database.exec('PRAGMA user_version = 7'));
    await assert.rejects(
      open(path),
      refusal('Invalid', `Cannot open database ${path} as it was written by a newer version: its schema is 7`, 'upgrade cara-server'),
    );
  });

  it('refuses a database whose migrations are not ours', async () => {
    const changed = await makeDatabase((database) => database.exec(`UPDATE migrations SET checksum = 'feed'`));
    await assert.rejects(open(changed), refusal('Invalid', changed, 'current value is feed'));
    const unknown = await makeDatabase((database) => database.exec(`INSERT INTO migrations VALUES (9, 'future', 'feed', 'now')`));
    await assert.rejects(open(unknown), refusal('Invalid', unknown, 'newer version'));
  });

  it('refuses the SQLite database of another program, and leaves it byte for byte as it was', async () => {
    const path = newPath();
    const foreign = new DatabaseSync(path);
    foreign.exec('CREATE TABLE bookmarks (url TEXT)');
    foreign.close();
    const bytes = readFileSync(path);
    await assert.rejects(open(path), refusal('Invalid', path, 'belongs to another program', 'DATABASE_URL'));
    assert.deepEqual(readFileSync(path), bytes);

    const marked = newPath();
    const other = new DatabaseSync(marked);
    other.exec('PRAGMA application_id = 42');
    other.close();
    await assert.rejects(open(marked), refusal('Invalid', 'belongs to another program', 'application_id is 42'));
  });

  it('refuses a file that is no database, and leaves it as it was', async () => {
    for (const text of ['hello', 'kind: Node\n'.repeat(1_000)]) {
      const path = newPath();
      writeFileSync(path, text);
      await assert.rejects(open(path), refusal('Invalid', path, 'it is no SQLite database'));
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });

  it('refuses a folder', async () => {
    await assert.rejects(open(folder), refusal('Invalid', `Cannot open database ${folder} as it is a folder`, '/cara.db'));
  });

  it('refuses a path in what is no folder', async () => {
    const file = newPath();
    writeFileSync(file, '');
    await assert.rejects(open(join(file, 'cara.db')), refusal('Unavailable', file, 'check that its folder exists'));
    await assert.rejects(open('/proc/none/cara.db'), refusal('Unavailable', '/proc/none/cara.db', 'check that its folder exists'));
  });

  it('refuses a folder that it may not read', { skip: process.getuid?.() === 0 && 'root may read everything' }, async () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o000 });
    await assert.rejects(open(join(closed, 'cara.db')), refusal('Unavailable', closed, 'belongs to this user'));
    chmodSync(closed, 0o700);
  });

  it('refuses a damaged database, naming the file and what mends it', async () => {
    const path = await makeDatabase((database) => {
      database.exec('PRAGMA journal_mode = DELETE');
      const insert = database.prepare(`INSERT INTO objects VALUES ('Node', ?, 'u', 1, ?)`);
      for (let row = 0; row < 200; row += 1) {
        insert.run(`n${row}`, JSON.stringify('x'.repeat(500)));
      }
    });
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 8 * 4096, 12 * 4096);
    writeFileSync(path, bytes);
    await assert.rejects(open(path), refusal('Invalid', path, 'it is damaged', 'cara-server restore'));
  });

  it('refuses a second server on the same file, in this process and in another, and lets the next one in after a kill', async () => {
    const path = newPath();
    const holder = await startHolder(path);
    await assert.rejects(open(path), refusal('Unavailable', path, 'another process is using it', 'stop the other cara-server'));
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const first = await open(path);
    await assert.rejects(open(path), refusal('Unavailable', 'another process is using it'));
    // The failed opener above must not have cost the first one its lock (POSIX locks go with any descriptor that is closed).
    await assert.rejects(startHolder(path));
    await first.close();
    const second = await open(path);
    await second.close();
  });
});

/** A process that holds the store until it is killed. @throws when it could not open it */
async function startHolder(path: string) {
  const program = `
    import { pino } from 'pino';
    import { systemClock } from ${JSON.stringify(join(import.meta.dirname, '../../base/clock.ts'))};
    import { createSqliteStore } from ${JSON.stringify(join(import.meta.dirname, 'sqlite-store.ts'))};
    await createSqliteStore({ path: ${JSON.stringify(path)}, clock: systemClock, log: pino({ level: 'silent' }) });
    process.stdout.write('holding');
    process.stdin.resume();`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [outcome] = (await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])) as readonly unknown[];
  if (String(outcome) !== 'holding') {
    throw new Error('could not open');
  }
  return holder;
}
