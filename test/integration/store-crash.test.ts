/**
 * Acknowledged means stored: a process that writes into a store is killed at random moments, and nothing it acknowledged is lost.
 * CRASH_ROUNDS=200 for the long run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { NO_POSTGRES, startPostgres } from '../support/stores/postgres.ts';
import { silentLog, type Thing } from '../support/stores/store-backends.ts';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 10);
const CALLERS = 8;
const WRITER = join(import.meta.dirname, '../support/stores/store-crash-writer.ts');

interface Acknowledgement {
  readonly caller: number;
  readonly step: number;
  readonly madeVersion: number;
  readonly counterVersion: number;
}

/** Starts a writer and kills it after `limit` acknowledgements. @returns all that it printed, also what came after the decision */
async function writeUntilKilled(url: string, round: number, limit: number): Promise<readonly Acknowledgement[]> {
  const writer = spawn(process.execPath, [WRITER, url, String(round), String(CALLERS)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(writer, 'exit');
  const acknowledged: Acknowledgement[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    const [caller, step, madeVersion, counterVersion] = line.split(' ').map(Number);
    // a line cut short by the kill is no acknowledgement: nobody could have read it
    if (caller !== undefined && step !== undefined && madeVersion !== undefined && counterVersion !== undefined) {
      acknowledged.push({ caller, step, madeVersion, counterVersion });
    }
    if (acknowledged.length >= limit) {
      writer.kill('SIGKILL');
    }
  }
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  return acknowledged;
}

async function checkRound(store: Store, round: number, acknowledged: readonly Acknowledgement[]): Promise<void> {
  for (const { caller, step, madeVersion } of acknowledged) {
    const made = await store.get<Thing>('Thing', `made-${round}-${caller}-${step}`);
    assert.equal(made?.metadata.resourceVersion, String(madeVersion), `made-${round}-${caller}-${step} was acknowledged`);
  }
  const { items } = await store.list<Thing>('Thing');
  for (let caller = 0; caller < CALLERS; caller += 1) {
    const own = items.filter((item) => item.metadata.name.startsWith(`made-${round}-${caller}-`));
    const counter = await store.get<Thing>('Thing', `counter-${round}-${caller}`);
    assert.equal(counter?.spec.value ?? 0, own.length, 'a commit is there in part');
  }
}

function checkVersions(acknowledged: readonly Acknowledgement[], floor: number): void {
  const versions = acknowledged.flatMap(({ madeVersion, counterVersion }) => [madeVersion, counterVersion]);
  assert.equal(new Set(versions).size, versions.length, 'a version was given twice');
  assert.ok(
    versions.every((version) => version > floor),
    'a version was used again',
  );
}

async function crashRepeatedly(url: string): Promise<void> {
  let version = 0;
  let total = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const acknowledged = await writeUntilKilled(url, round, 1 + Math.floor(systemRandom.next() * 1_500));
    checkVersions(acknowledged, version);
    const store = await openStore(url, { clock: systemClock, log: silentLog, logSize: 200 });
    await checkRound(store, round, acknowledged);
    const reopened = await store.version();
    assert.ok(reopened >= Math.max(version, ...acknowledged.map(({ counterVersion }) => counterVersion)));
    const { items } = await store.list('Thing');
    assert.equal(new Set(items.map((item) => item.metadata.resourceVersion)).size, items.length);
    version = reopened;
    total += acknowledged.length;
    await store.close();
  }
  assert.ok(total > ROUNDS);
}

const PROMISE = 'killed at random moments, keeps every acknowledged commit whole, once, under versions that only grow';

it(`a store on SQLite, ${PROMISE}`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cara-crash-'));
  await crashRepeatedly(`sqlite:${join(folder, 'cara.db')}`);
  await rm(folder, { recursive: true });
});

it(`a store on PostgreSQL, ${PROMISE}`, { skip: NO_POSTGRES }, async () => {
  await using server = await startPostgres();
  await crashRepeatedly(await server.createDatabase());
});
