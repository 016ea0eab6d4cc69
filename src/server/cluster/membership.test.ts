import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { systemRandom } from '../../base/random.ts';
import type { ClusterSession } from './cluster-session.ts';
import { Membership, type Office } from './membership.ts';

/** A database with one lock; its sessions end when they are told to. */
class FakeDatabase {
  readonly sessions: ClusterSession[] = [];
  holder: ClusterSession | undefined;
  /** to be awaited before a session opens */
  gate: Promise<void> = Promise.resolve();

  async open(): Promise<ClusterSession> {
    await this.gate;
    let isOpen = true;
    const use = async (): Promise<void> => {
      await Promise.resolve();
      assert.ok(isOpen, 'the session is closed');
    };
    const end = (): void => {
      isOpen = false;
      this.holder = this.holder === session ? undefined : this.holder;
    };
    const session: ClusterSession = {
      get isOpen() {
        return isOpen;
      },
      tryLock: async () => {
        await use();
        this.holder ??= session;
        return this.holder === session;
      },
      say: use,
      sayHere: use,
      sayGone: use,
      listServers: async () => {
        await use();
        return [];
      },
      close: async () => {
        await Promise.resolve();
        end();
      },
      destroy: end,
    };
    this.sessions.push(session);
    return session;
  }
}

function join(database: FakeDatabase): {
  readonly clock: VirtualClock;
  readonly membership: Membership;
  readonly offices: Office[];
  readonly stop: () => Promise<void>;
} {
  const clock = new VirtualClock();
  const offices: Office[] = [];
  const stopping = new AbortController();
  const membership = new Membership({
    identity: { id: 'i1', name: 's1', url: 'http://127.0.0.1:1' },
    open: async () => await database.open(),
    clock,
    random: systemRandom,
    log: silentLog,
    lead: async (office) => {
      offices.push(office);
      const { promise, resolve } = Promise.withResolvers<void>();
      office.signal.addEventListener('abort', () => resolve());
      await promise;
    },
  });
  const run = membership.run(stopping.signal).catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await run;
  };
  return { clock, membership, offices, stop };
}

test('a leadership that is resigned, as another server leads, ends, though a new session is well', async () => {
  const database = new FakeDatabase();
  const { clock, offices, stop } = join(database);
  await clock.advance(1000);
  const [first] = offices;
  assert.equal(first?.isSure(), true);
  const other = await database.open();
  first?.resign();
  database.holder = other;
  await clock.advance(5000);
  assert.equal(first?.signal.aborted, true);
  assert.equal(first?.isSure(), false);
  assert.equal(offices.length, 1, 'the lock is the other server’s');
  other.destroy();
  await clock.advance(5000);
  assert.equal(offices.length, 2);
  assert.equal(offices[1]?.isSure(), true);
  await stop();
});

test('who asks for the servers while there is no session shares the one that comes, and never takes the lock’s place', async () => {
  const database = new FakeDatabase();
  const gate = Promise.withResolvers<void>();
  database.gate = gate.promise;
  const { clock, membership, offices, stop } = join(database);
  const listed = membership.list();
  await clock.advance(1000);
  gate.resolve();
  assert.deepEqual(await listed, []);
  await clock.advance(1000);
  assert.equal(database.sessions.length, 1);
  assert.equal(offices.length, 1);
  database.holder?.destroy();
  await membership.list();
  await clock.advance(1000);
  assert.equal(offices[0]?.signal.aborted, true);
  await stop();
});
