import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../../scripts/lib/wait.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { draft, silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { readBackup } from '../../store/backup/backup-file.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { createBackupSchedule, type BackupSchedule } from './backup-schedule.ts';

const HOUR_MS = 3_600_000;

interface Running {
  readonly schedule: BackupSchedule;
  readonly stop: () => Promise<void>;
}

function start(clock: VirtualClock, folder: string, keep = 2): Running {
  const store = createMemoryStore({ clock });
  const stop = new AbortController();
  const schedule = createBackupSchedule({ store, clock, log: silentLog, intervalMs: HOUR_MS, folder, keep });
  const running = store.commit([{ op: 'create', object: draft('a') }]).then(() => schedule.run(stop.signal));
  return {
    schedule,
    stop: async () => {
      stop.abort();
      await running.catch(() => undefined);
      await store.close();
    },
  };
}

/** Waits on the files, which no virtual clock hurries, until the loop sleeps again. */
async function settled(clock: VirtualClock, is: () => boolean): Promise<void> {
  await until(async () => is() && clock.sleepers === 1, { what: 'the next backup', timeoutMs: 20_000 });
}

test('a backup is written at once and then once an interval, whole, and the newest stay', async () => {
  using scratch = makeScratch();
  const clock = new VirtualClock();
  const folder = join(scratch.path, 'made', 'here');
  const { schedule, stop } = start(clock, folder);
  const seen = new Set<string>();
  const files = (): readonly string[] => (readdirSync(scratch.path).length === 0 ? [] : readdirSync(folder));
  for (let round = 1; round <= 4; round += 1) {
    await clock.advance(round === 1 ? 0 : HOUR_MS);
    await settled(clock, () => schedule.state.succeededAtMs === clock.wallMs());
    const all = files();
    assert.equal(all.length, Math.min(round, 2));
    all.forEach((name) => seen.add(name));
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    rmSync(join(folder, 'notes.txt'));
  }
  assert.equal(seen.size, 4);
  assert.deepEqual(files(), [...seen].toSorted().slice(2));
  assert.equal((await readBackup(join(folder, files()[0] ?? ''), () => undefined)).objects, 1);
  await stop();
});

test('a server that starts again goes on from the newest file, and leaves files with other names alone', async () => {
  using scratch = makeScratch();
  const clock = new VirtualClock();
  const first = start(clock, scratch.path, 1);
  await settled(clock, () => first.schedule.state.succeededAtMs !== undefined);
  await first.stop();
  writeFileSync(join(scratch.path, 'cara-kept.backup.gz'), 'somebody else made it');
  const madeAtMs = clock.wallMs();
  await clock.advance(HOUR_MS / 2);
  const second = start(clock, scratch.path, 1);
  await settled(clock, () => second.schedule.state.succeededAtMs === madeAtMs);
  await clock.advance(HOUR_MS / 2 - 1);
  assert.equal(second.schedule.state.succeededAtMs, madeAtMs);
  await clock.advance(1);
  await settled(clock, () => second.schedule.state.succeededAtMs === clock.wallMs());
  assert.equal(readdirSync(scratch.path).length, 2);
  await second.stop();
});

test('a failure is told until a backup succeeds, tried again each minute, and nothing is deleted meanwhile', async () => {
  using scratch = makeScratch();
  const clock = new VirtualClock();
  const folder = join(scratch.path, 'backups');
  writeFileSync(folder, 'a file is in the way');
  const { schedule, stop } = start(clock, folder);
  await settled(clock, () => schedule.state.failures === 1);
  assert.match(schedule.state.problem ?? '', /^Cannot write a backup to .*backups as it is a file$/u);
  await clock.advance(60_000);
  await settled(clock, () => schedule.state.failures === 2);
  rmSync(folder);
  await clock.advance(60_000);
  await settled(clock, () => schedule.state.problem === undefined);
  assert.equal(readdirSync(folder).length, 1);
  await stop();
});
