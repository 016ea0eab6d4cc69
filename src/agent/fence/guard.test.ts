import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemDisk } from '../../base/disk.ts';
import { until } from '../../../scripts/lib/wait.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { LABEL } from '../docker/names.ts';
import { killProcesses } from './container-processes.ts';
import { readFenceFile, writeFenceFile, type FenceEntry, type FenceRecord } from './fence-file.ts';
import { runFenceGuard, type FenceGuardOptions } from './guard.ts';

const KILL_MS = 90_000 + 60_000 - 2000 - 3000; // after the grant: timeout + after - margin - kill

function entryOf(uid: string, sentAtMs: number | null): FenceEntry {
  const grant = sentAtMs === null ? null : { sentAtMs, timeoutMs: 90_000 };
  return { cluster: 'c1', uid, project: `p-${uid}`, afterMs: 60_000, graceMs: 10_000, grant, containers: [`listed-${uid}`] };
}

/** A guard in virtual time; `running` is uid -> ids of containers that the engine says run. */
class World implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly running = new Map<string, string[]>();
  readonly killed: string[] = [];
  readonly asked: string[] = [];
  record: FenceRecord | undefined;
  suspendedMs = 0;
  isAgentAlive = true;
  isEngineHung = false;
  readonly #told = new AbortController();
  ended = false;
  #running = Promise.resolve();

  start(...entries: readonly FenceEntry[]): void {
    this.record = { bootId: 'boot-1', engineHost: 'unix:///engine', entries };
    this.#running = runFenceGuard(this.#options(), this.#told.signal).then(() => void (this.ended = true));
  }

  #options(): FenceGuardOptions {
    return {
      read: () => this.record,
      openEngine: () => ({
        listContainers: async ({ labels }, signal) => {
          if (this.isEngineHung) {
            await once(signal, 'abort');
            signal.throwIfAborted();
          }
          const ids = this.running.get(labels[LABEL.projectUid] ?? '') ?? [];
          return ids.map((id) => ({ id })) as never;
        },
        killContainer: async (id) => {
          this.killed.push(id);
          for (const [uid, ids] of this.running) {
            this.running.set(
              uid,
              ids.filter((other) => other !== id),
            );
          }
          await Promise.resolve();
        },
      }),
      killProcesses: (ids) => {
        this.asked.push(...ids);
        return 0;
      },
      isAgentAlive: () => this.isAgentAlive,
      bootClock: { bootMs: () => this.clock.monotonicMs() + this.suspendedMs, bootId: 'boot-1' },
      clock: this.clock,
      log: silentLog,
    };
  }

  async tell(): Promise<void> {
    this.#told.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.record = { bootId: '', engineHost: '', entries: [] };
    await this.tell();
  }
}

test('runFenceGuard() kills at the time, within a look, and what was not granted longer alone', async () => {
  await using world = new World();
  world.running.set('u1', ['a', 'b']);
  world.running.set('u2', ['c']);
  world.start(entryOf('u1', 0), entryOf('u2', 60_000));
  await world.clock.advance(KILL_MS - 1);
  assert.deepEqual(world.killed, []);
  await world.clock.advance(251);
  assert.deepEqual(world.killed, ['a', 'b']);
  assert.deepEqual([...new Set(world.asked)], ['listed-u1']);
});

test('runFenceGuard() goes by grants that come, and keeps to the last good content when the file is damaged', async () => {
  await using world = new World();
  world.running.set('u1', ['a']);
  world.start(entryOf('u1', 0));
  await world.clock.advance(100_000);
  world.record = { bootId: 'boot-1', engineHost: 'unix:///engine', entries: [entryOf('u1', 100_000)] };
  await world.clock.advance(KILL_MS - 50_000);
  world.record = undefined;
  await world.clock.advance(49_000);
  assert.deepEqual(world.killed, []);
  await world.clock.advance(2000);
  assert.deepEqual(world.killed, ['a']);
});

test('runFenceGuard() kills at once what was suspended over its time, of another boot, or never granted', async () => {
  await using world = new World();
  world.running.set('u1', ['a']);
  world.running.set('u2', ['b']);
  world.start(entryOf('u1', 0), entryOf('u2', null));
  await world.clock.settle();
  assert.deepEqual(world.killed, ['b']);
  world.suspendedMs = 3_600_000;
  await world.clock.advance(251);
  assert.deepEqual(world.killed, ['b', 'a']);
});

test('runFenceGuard() kills the processes though the engine hangs, and what the engine starts late', async () => {
  await using world = new World();
  world.isEngineHung = true;
  world.start(entryOf('u1', 0));
  await world.clock.advance(KILL_MS + 1500);
  assert.deepEqual([...new Set(world.asked)], ['listed-u1']);
  world.isEngineHung = false;
  await world.clock.advance(300_000);
  world.running.set('u1', ['late']);
  await world.clock.advance(1000);
  assert.deepEqual(world.killed, ['late']);
});

test('runFenceGuard() ends when nothing is fenced, or all is long over and no agent is there', async () => {
  await using world = new World();
  world.start(entryOf('u1', 0));
  await world.clock.advance(KILL_MS + 300_000);
  assert.equal(world.ended, false);
  world.isAgentAlive = false;
  await world.clock.advance(1000);
  assert.equal(world.ended, true);
  await using other = new World();
  other.start(entryOf('u1', 0));
  other.record = { bootId: 'boot-1', engineHost: '', entries: [] };
  await other.clock.advance(1000);
  assert.equal(other.ended, true);
});

test('runFenceGuard() kills all before it ends when it is told to end: nobody would later', async () => {
  await using world = new World();
  world.running.set('u1', ['a']);
  world.start(entryOf('u1', 0));
  await world.clock.advance(1000);
  await world.tell();
  assert.deepEqual(world.killed, ['a']);
});

test('killProcesses() kills those whose control group names the container, and no other', async () => {
  const id = 'ab'.repeat(32);
  const children = [spawn('sleep', ['60']), spawn('sleep', ['60'])];
  using scratch = makeScratch();
  for (const [index, { pid }] of children.entries()) {
    mkdirSync(join(scratch.path, String(pid)));
    const group = index === 0 ? `12:pids:/docker/${id}\n0::/system.slice/docker-${id}.scope\n` : '0::/user.slice\n';
    writeFileSync(join(scratch.path, String(pid), 'cgroup'), group);
  }
  assert.equal(killProcesses(new Set(['cd'.repeat(32)]), scratch.path), 0);
  assert.equal(killProcesses(new Set([id]), scratch.path), 1);
  await until(() => children[0]?.signalCode === 'SIGKILL', { what: 'the process of the container to end', timeoutMs: 5000 });
  assert.equal(children[1]?.signalCode, null);
  children[1]?.kill();
});

test('readFenceFile() finds what writeFenceFile() wrote, also after longer content, and nothing in what is damaged', () => {
  using scratch = makeScratch();
  const path = join(scratch.path, 'fence.json');
  assert.equal(readFenceFile(systemDisk, path), undefined);
  const long = { bootId: 'b', engineHost: 'h', entries: Array.from({ length: 400 }, (_, index) => entryOf(`u${index}`, index)) };
  const short = { bootId: 'b', engineHost: 'h', entries: [entryOf('u1', null)] };
  for (const record of [short, long, short]) {
    writeFenceFile(systemDisk, path, record);
    assert.deepEqual(readFenceFile(systemDisk, path), record);
  }
  writeFileSync(path, 'torn', { flag: 'r+' });
  assert.equal(readFenceFile(systemDisk, path), undefined);
  rmSync(path);
  assert.equal(readFenceFile(systemDisk, path), undefined);
});
