import assert from 'node:assert/strict';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { systemDisk } from '../../base/disk.ts';
import { boundOf } from '../../../test/support/objects/resources.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { readFenceFile } from '../fence/fence-file.ts';
import { SelfFence } from './self-fence.ts';

const TIMEOUT_MS = 90_000;
const STOP_MS = TIMEOUT_MS + 60_000 - 2000 - 3000 - 10_000 - 2000; // after a grant: timeout + after - margin - kill - grace - slack

function shop(after = '1m', assignment = 1): ProjectObject {
  return boundOf('shop', 'n1', { spec: { onNodeLost: { after, fence: true } }, status: { assignment } });
}

/** An agent's self-fence, on a machine whose clock the test moves; `server` is what a read finds. */
class World implements AsyncDisposable {
  readonly #scratch = makeScratch();
  readonly path = join(this.#scratch.path, 'fence.json');
  readonly clock = new VirtualClock();
  readonly heard: string[] = [];
  suspendedMs = 0;
  bootId = 'boot-1';
  cluster: string | undefined = 'c1';
  server: ProjectObject | undefined | 'away' = shop();
  /** what an answer waits for on its way */
  travel: Promise<void> = Promise.resolve();
  isGuardUp = true;
  fence: SelfFence = this.#create();
  #ended = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor() {
    this.#run();
  }

  #create(): SelfFence {
    return new SelfFence({
      path: this.path,
      disk: systemDisk,
      engineHost: 'unix:///engine',
      nodeName: 'n1',
      clusterId: () => this.cluster,
      find: async () => {
        const answer = this.server; // as it is when the question comes in
        await this.travel;
        if (answer === 'away') {
          throw new ApiError('Unavailable', 'Cannot reach the server as the line is cut');
        }
        return answer;
      },
      guard: { ensure: async () => (this.isGuardUp ? await Promise.resolve() : await Promise.reject(new Error('no guard'))) },
      bootClock: { bootMs: () => this.clock.monotonicMs() + this.suspendedMs, bootId: this.bootId },
      clock: this.clock,
      log: silentLog,
    });
  }

  #run(): void {
    this.fence.subscribe((project) => this.heard.push(project));
    this.#running = this.fence.run(this.#ended.signal).catch((error: unknown) => {
      if (!this.#ended.signal.aborted) {
        throw error;
      }
    });
  }

  get nowMs(): number {
    return this.clock.monotonicMs() + this.suspendedMs;
  }

  grant(timeoutMs = TIMEOUT_MS): void {
    this.fence.granted({ sentAtMs: this.nowMs, timeoutMs });
  }

  /** Has the Project running, confirmed. */
  async open(project = shop()): Promise<void> {
    this.grant();
    this.server = project;
    this.fence.put(project);
    await this.clock.settle();
    assert.equal(this.fence.stateOf(project), 'open');
    await this.fence.admit(project, 'c-1', this.#ended.signal);
  }

  async admit(project = shop(), id = 'c-1'): Promise<string> {
    return await this.fence.admit(project, id, this.#ended.signal).then(
      () => 'admitted',
      (error: unknown) => String(error),
    );
  }

  /** The process is gone; another starts on what it left. */
  async restart(): Promise<void> {
    await this.#stop();
    this.#ended = new AbortController();
    this.fence = this.#create();
    this.#run();
  }

  async #stop(): Promise<void> {
    this.#ended.abort(new Error('stopping'));
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    this.#scratch[Symbol.dispose]();
  }
}

test('stateOf() is open for what is not fenced, and held for a new fenced Project until the server has confirmed it after a grant', async () => {
  await using world = new World();
  assert.equal(world.fence.stateOf(boundOf('plain', 'n1')), 'open');
  world.server = 'away';
  world.grant();
  world.fence.put(shop());
  assert.equal(world.fence.stateOf(shop()), 'held');
  assert.match(await world.admit(), /Cannot start it as the server has not said/u);
  world.server = shop();
  await world.clock.advance(1000);
  assert.equal(world.fence.stateOf(shop()), 'open');
  assert.equal(world.fence.stateOf(shop('1m', 2)), 'held', 'another assignment is another question');
  assert.ok(world.heard.includes('shop'));
});

test('stateOf() closes in time for the stop, counted from when the last granted heartbeat was sent, and tells within a second', async () => {
  await using world = new World();
  await world.open();
  await world.clock.advance(30_000);
  world.grant();
  await world.clock.advance(STOP_MS - 1);
  assert.equal(world.fence.stateOf(shop()), 'open');
  world.heard.length = 0;
  await world.clock.advance(1);
  assert.equal(world.fence.stateOf(shop()), 'closed');
  await world.clock.advance(1000);
  assert.deepEqual(world.heard, ['shop']);
});

test('a grant alone opens nothing that has lapsed: the server must say that it is still here, in an answer to a question after the grant', async () => {
  await using world = new World();
  await world.open();
  world.server = 'away';
  await world.clock.advance(STOP_MS + 60_000);
  world.grant();
  await world.clock.advance(5000);
  assert.equal(world.fence.stateOf(shop()), 'closed');
  world.server = boundOf('shop', 'n2', { spec: shop().spec, status: { assignment: 2 } });
  await world.clock.advance(1000);
  world.grant();
  await world.clock.advance(1000);
  assert.equal(world.fence.stateOf(shop()), 'closed', 'it is elsewhere');
  world.server = shop();
  world.grant();
  await world.clock.settle();
  assert.equal(world.fence.stateOf(shop()), 'open');
});

test('a lapse that nobody looked at counts: a suspended machine that is granted at once on its return must ask first', async () => {
  await using world = new World();
  await world.open();
  world.server = 'away';
  world.suspendedMs = 3_600_000;
  world.grant();
  assert.equal(world.fence.stateOf(shop()), 'closed');
  assert.match(await world.admit(), /Cannot start/u);
});

test('an answer to a question from before a lapse does not count, though a grant has come since', async () => {
  await using world = new World();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.travel = promise;
  world.grant();
  world.fence.put(shop());
  await world.clock.settle();
  world.server = 'away';
  world.suspendedMs = 3_600_000;
  world.grant();
  resolve();
  await world.clock.settle();
  assert.equal(world.fence.stateOf(shop()), 'closed');
});

test('after a restart what runs may run on for what was granted before, and nothing is started until the server has spoken', async () => {
  await using world = new World();
  await world.open();
  await world.clock.advance(10_000);
  world.server = 'away';
  await world.restart();
  world.fence.assign([shop('10m')], 'file'); // an older file than what the server was told last
  assert.equal(world.fence.stateOf(shop()), 'held');
  assert.match(await world.admit(), /Cannot start/u);
  await world.clock.advance(STOP_MS - 10_000);
  assert.equal(world.fence.stateOf(shop()), 'closed', 'the time is that of before the restart');
});

test('after a reboot, and where the file is damaged or gone, nothing fenced may run until the server has spoken', async () => {
  for (const harm of ['reboot', 'damage'] as const) {
    await using world = new World();
    await world.open();
    world.server = 'away';
    if (harm === 'reboot') {
      world.bootId = 'boot-2';
    } else {
      writeFileSync(world.path, 'x'.repeat(100));
    }
    await world.restart();
    world.fence.assign([shop()], 'file');
    assert.equal(world.fence.stateOf(shop()), 'closed', harm);
    world.server = shop();
    world.grant();
    world.fence.put(shop());
    await world.clock.settle();
    assert.equal(world.fence.stateOf(shop()), 'open', harm);
  }
});

test('the file has each container before it is admitted, each grant, and each shorter after at once', async () => {
  await using world = new World();
  await world.open();
  const entry = () => readFenceFile(systemDisk, world.path)?.entries[0];
  assert.deepEqual(entry()?.containers, ['c-1']);
  await world.clock.advance(5000);
  world.grant(60_000);
  assert.deepEqual(entry()?.grant, { sentAtMs: 5000, timeoutMs: 60_000 });
  world.fence.put(shop('30s'));
  assert.equal(entry()?.afterMs, 30_000);
  world.fence.note(shop('30s'), ['c-1', 'c-2']);
  assert.deepEqual(entry()?.containers, ['c-1', 'c-2']);
  world.fence.remove(shop().metadata.uid);
  assert.deepEqual(readFenceFile(systemDisk, world.path)?.entries, []);
});

test('admit() refuses where no guard runs', async () => {
  await using world = new World();
  await world.open();
  world.isGuardUp = false;
  assert.match(await world.admit(shop(), 'c-2'), /no guard/u);
});

test('a grant of another control plane does not renew what this one had, which goes when its guard has had its time', async () => {
  await using world = new World();
  await world.open();
  world.cluster = 'c2';
  await world.clock.advance(30_000);
  world.grant();
  assert.equal(readFenceFile(systemDisk, world.path)?.entries[0]?.grant?.sentAtMs, 0);
  world.fence.assign([], 'server');
  assert.equal(readFenceFile(systemDisk, world.path)?.entries.length, 1);
  await world.clock.advance(300_000);
  assert.equal(readFenceFile(systemDisk, world.path)?.entries.length, 0);
});
