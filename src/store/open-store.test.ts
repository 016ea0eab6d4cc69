import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { pino } from 'pino';
import { systemClock } from '../base/clock.ts';
import { ConfigError } from '../base/config.ts';
import { openStore } from './open-store.ts';

const deps = { clock: systemClock, log: pino({ level: 'silent' }) };

it('openStore() opens memory, SQLite in memory and SQLite files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cara-url-'));
  for (const url of ['memory:', 'sqlite::memory:', `sqlite:${folder}/a.db`, `sqlite://${folder}/b.db`]) {
    const store = await openStore(url, deps);
    assert.equal(await store.version(), 0);
    await store.close();
  }
  await rm(folder, { recursive: true });
});

it('openStore() refuses a PostgreSQL URL that cannot be, and shows no password', async () => {
  for (const url of ['postgres://cara:secret@db:0/cara', 'postgresql://cara:secret@db/cara?sslmode=x']) {
    await assert.rejects(openStore(url, deps), (error: unknown) => {
      assert.ok(error instanceof ConfigError, url);
      assert.doesNotMatch(error.message, /secret/u);
      return true;
    });
  }
});

it('openStore() names what is right for any other URL, and shows no password', async () => {
  for (const url of ['mysql://root:secret@db/cara', '/var/lib/cara.db', '', 'sqlite:', 'sqlite:/var/lib/', 'sqlite://host/cara.db']) {
    await assert.rejects(openStore(url, deps), (error: unknown) => {
      assert.ok(error instanceof ConfigError, url);
      assert.match(error.message, /^Cannot use DATABASE_URL as it must .*sqlite:\/path\/to\/cara\.db/u);
      assert.doesNotMatch(error.message, /secret/u);
      return true;
    });
  }
});
