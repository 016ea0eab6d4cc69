import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { WatchEvent } from '../../api/watch-event.ts';
import { systemRandom } from '../../base/random.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { createAssignmentWatcher } from './assignment-watcher.ts';

/** One open watch: events are pushed, and it ends by `end` or with its signal. */
class Stream {
  readonly since: string | undefined;
  readonly #queue: WatchEvent<ProjectObject>[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake: () => void = () => undefined;

  constructor(since: string | undefined) {
    this.since = since;
  }

  push(type: 'ADDED' | 'MODIFIED' | 'DELETED', project: ProjectObject, resourceVersion: string): void {
    this.#queue.push({ type, object: { ...project, metadata: { ...project.metadata, resourceVersion } } });
    this.#wake();
  }

  bookmark(resourceVersion: string): void {
    this.#queue.push({ type: 'BOOKMARK', object: { kind: 'Project', metadata: { resourceVersion } } });
    this.#wake();
  }

  end(error?: Error): void {
    this.#end = error === undefined ? {} : { error };
    this.#wake();
  }

  async *read(signal: AbortSignal): AsyncGenerator<WatchEvent<ProjectObject>> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) {
          throw this.#end.error;
        }
        return;
      } else {
        signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }
}

function setUp() {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const streams: Stream[] = [];
  const server = {
    items: [] as ProjectObject[],
    isNodeKnown: true,
    clusterId: 'c1',
    listError: undefined as Error | undefined,
    watchError: undefined as Error | undefined,
  };
  const client = {
    version: async () => ({ version: '1', apiVersion: 'caravanserai/v1', clusterId: server.clusterId }),
    nodes: { find: async () => (server.isNodeKnown ? ({} as NodeObject) : undefined) },
    projects: {
      list: async () => {
        if (server.listError !== undefined) {
          throw server.listError;
        }
        return { apiVersion: 'caravanserai/v1', kind: 'ProjectList', metadata: { resourceVersion: '10' }, items: server.items };
      },
      watch: async function* ({ since }: { readonly since?: string }, signal: AbortSignal) {
        if (server.watchError !== undefined) {
          throw server.watchError;
        }
        const stream = new Stream(since);
        streams.push(stream);
        yield* stream.read(signal);
      },
    },
  } as unknown as CaraClient;
  const watcher = createAssignmentWatcher({
    client,
    nodeName: 'worker-01',
    clusterId: () => 'c1',
    sink: {
      replaceAll: (_clusterId, projects) => calls.push(`all ${projects.map(({ metadata }) => metadata.name).join()}`),
      put: ({ metadata }) => calls.push(`put ${metadata.name}`),
      remove: (project, uid) => calls.push(`remove ${project} ${uid}`),
    },
    clock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
  });
  const controller = new AbortController();
  let failure: unknown;
  const running = watcher.run(controller.signal).catch((error: unknown) => {
    failure = controller.signal.aborted ? undefined : error;
  });
  return {
    clock,
    calls,
    streams,
    server,
    watcher,
    stream: () => streams.at(-1) ?? assert.fail('no watch is open'),
    [Symbol.asyncDispose]: async () => {
      controller.abort(new DOMException('Stopping', 'AbortError'));
      await running;
      assert.equal(failure, undefined);
    },
  };
}

const CUT = new ApiError('Unavailable', 'the connection was cut');

describe('createAssignmentWatcher()', () => {
  it('createAssignmentWatcher() asks nothing before the node is registered, then lists and follows from there', async () => {
    await using world = setUp();
    world.server.items = [makeProject()];
    await world.clock.advance(60_000);
    assert.deepEqual(world.calls, []);
    world.watcher.relist();
    await world.clock.settle();
    assert.deepEqual(world.calls, ['all shop']);
    assert.equal(world.stream().since, '10');
  });

  it('createAssignmentWatcher() hands on what changes, and takes what is bound elsewhere for gone', async () => {
    await using world = setUp();
    world.watcher.relist();
    await world.clock.settle();
    const moved = makeProject({ name: 'blog', uid: 'u2' });
    world.stream().push('ADDED', makeProject(), '11');
    world.stream().push('MODIFIED', { ...moved, status: { ...moved.status, nodeRef: 'worker-02' } }, '12');
    world.stream().push('DELETED', makeProject(), '13');
    await world.clock.settle();
    assert.deepEqual(world.calls, ['all ', 'put shop', 'remove blog u2', 'remove shop u1']);
  });

  it('createAssignmentWatcher() resumes after the last thing it saw when a stream is cut', async () => {
    await using world = setUp();
    world.watcher.relist();
    await world.clock.settle();
    world.stream().bookmark('42');
    await world.clock.settle();
    world.stream().end(CUT);
    await world.clock.advance(1000);
    assert.equal(world.streams.length, 2);
    assert.equal(world.stream().since, '42');
    assert.deepEqual(world.calls, ['all ']);
  });

  it('createAssignmentWatcher() lists again when its version is too old', async () => {
    await using world = setUp();
    world.watcher.relist();
    await world.clock.settle();
    world.stream().bookmark('42');
    world.stream().end(new ApiError('Expired', 'too old'));
    await world.clock.advance(1000);
    assert.deepEqual(world.calls, ['all ', 'all ']);
  });

  it('createAssignmentWatcher() opens a stream anew that was silent for 90 s', async () => {
    await using world = setUp();
    world.watcher.relist();
    await world.clock.advance(60_000);
    world.stream().bookmark('42');
    await world.clock.advance(89_000);
    assert.equal(world.streams.length, 1);
    await world.clock.advance(3000);
    assert.equal(world.streams.length, 2);
    assert.equal(world.stream().since, '42');
  });

  it('createAssignmentWatcher() polls the list every ten seconds at the latest where no watch can be opened', async () => {
    await using world = setUp();
    world.server.watchError = new ApiError('Unavailable', 'a proxy is in the way');
    world.watcher.relist();
    await world.clock.advance(120_000);
    assert.ok(world.calls.length >= 12 && world.calls.length < 60, `${world.calls.length} lists in two minutes`);
  });

  it('createAssignmentWatcher() does not believe the list of a server that does not know the node', async () => {
    await using world = setUp();
    world.server.isNodeKnown = false;
    world.watcher.relist();
    await world.clock.advance(60_000);
    assert.deepEqual(world.calls, []);
    world.server.isNodeKnown = true;
    world.watcher.relist();
    await world.clock.settle();
    assert.deepEqual(world.calls, ['all ']);
  });

  it('createAssignmentWatcher() does not believe the list of another cluster', async () => {
    await using world = setUp();
    world.server.clusterId = 'c2';
    world.watcher.relist();
    await world.clock.advance(60_000);
    assert.deepEqual(world.calls, []);
  });

  it('createAssignmentWatcher() takes nothing over from a list that fails', async () => {
    await using world = setUp();
    world.server.listError = CUT;
    world.watcher.relist();
    await world.clock.advance(60_000);
    assert.deepEqual(world.calls, []);
    world.server.listError = undefined;
    await world.clock.advance(10_000);
    assert.deepEqual(world.calls, ['all ']);
  });

  it('relist() drops the stream that is open and lists', async () => {
    await using world = setUp();
    world.watcher.relist();
    await world.clock.settle();
    world.watcher.relist();
    await world.clock.settle();
    assert.deepEqual(world.calls, ['all ', 'all ']);
    assert.equal(world.streams.length, 2);
  });
});
