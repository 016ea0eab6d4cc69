/** What comes all at once: that heartbeats go on meanwhile, and that nobody is blamed. By what happens, not by how long it takes. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { NodeObject } from '../../src/api/node.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import type { Store } from '../../src/store/store.ts';
import { openWatch, startApi, startApiOn, type Answer, type ApiServer } from '../support/worlds/api.ts';
import { boundOf } from '../support/objects/resources.ts';
import { wrapped } from '../support/stores/wrapped-store.ts';
import { beatRequest, Wire } from '../support/network/wire.ts';

const FLEET = 120; // a list of which comes in pieces
const BODY = JSON.stringify({ capacity: { cpu: '4', memory: '8Gi' }, allocatable: { cpu: '4', memory: '8Gi' } });
const LONG = { timeoutMs: 60_000, intervalMs: 5 };

async function start(store: Store): Promise<ApiServer> {
  return await startApiOn({ clock: systemClock, store, listen: true });
}

/** Agents that beat one after the other, as fast as they are answered, until they are disposed of. */
class Agents implements AsyncDisposable {
  readonly #wire: Wire;
  readonly #host: string;
  #isOver = false;
  answered = 0;
  readonly failed: number[] = [];
  readonly #running: Promise<void>;

  private constructor(wire: Wire, host: string) {
    this.#wire = wire;
    this.#host = host;
    this.#running = this.#run();
  }

  static async start(api: ApiServer): Promise<Agents> {
    const { host, port } = new URL(api.server.url);
    return new Agents(await Wire.open(Number(port)), host);
  }

  async #run(): Promise<void> {
    for (let index = 0; !this.#isOver; index = (index + 1) % FLEET) {
      const request = beatRequest({ host: this.#host, name: `node-${index}`, body: BODY });
      const status = await new Promise<number>((resolve) => this.#wire.send(request, resolve));
      this.answered += 1;
      if (status !== 204) {
        this.failed.push(status);
        return;
      }
    }
  }

  /** Waits until each node has beaten again. */
  async round(): Promise<void> {
    const before = this.answered;
    await until(() => this.failed.length > 0 || this.answered >= before + FLEET, { what: 'a round of heartbeats', ...LONG });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#running;
    this.#wire.close();
    assert.deepEqual(this.failed, []);
  }
}

async function startFleet(
  store: Store = createMemoryStore({ clock: systemClock }),
): Promise<{ readonly api: ApiServer; readonly store: Store }> {
  const api = await start(store);
  await Promise.all(Array.from({ length: FLEET }, (_, index) => api.call('POST', `/nodes/node-${index}/register`, { body: {} })));
  {
    await using agents = await Agents.start(api);
    await agents.round();
  }
  await until(async () => (await states(store)).every((state) => state === 'Ready'), { what: 'the fleet to be Ready', ...LONG });
  return { api, store };
}

async function states(store: Store): Promise<readonly string[]> {
  return (await store.list<NodeObject>('Node')).items.map(({ status }) => status.state);
}

/** What any change of a node's state would move. */
async function versions(store: Store): Promise<readonly string[]> {
  return (await store.list<NodeObject>('Node')).items.map(({ metadata }) => metadata.resourceVersion);
}

/** Connections that never finish a request; a part of what the issue names, as both their ends are files of this one process. */
class Crowd implements Disposable {
  readonly #port: number;
  readonly #sockets: { readonly socket: Socket; readonly isIdle: boolean }[] = [];

  constructor(api: ApiServer) {
    this.#port = Number(new URL(api.server.url).port);
  }

  /** @param begin what each says; '': nothing, ever */
  async open(count: number, begin: string): Promise<void> {
    const sockets = Array.from({ length: count }, () => connect(this.#port, '127.0.0.1'));
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      this.#sockets.push({ socket, isIdle: begin === '' });
    }
    await until(() => sockets.every(({ readyState }) => readyState === 'open'), { what: 'the connections', ...LONG });
    sockets.forEach((socket) => begin !== '' && socket.write(begin));
  }

  say(text: string): void {
    this.#sockets.forEach(({ socket, isIdle }) => !isIdle && socket.write(text));
  }

  [Symbol.dispose](): void {
    this.#sockets.forEach(({ socket }) => socket.destroy());
  }
}

describe('storms', () => {
  test('while a crowd lists the fleet, who beats, who reports and who asks for one node wait for a few of the lists, not for all', async () => {
    const memory = createMemoryStore({ clock: systemClock });
    let begun = 0;
    const list: Store['list'] = (...asked) => {
      begun += 1;
      return memory.list(...asked);
    };
    const { api } = await startFleet({ ...wrapped(memory), list });
    await using _api = api;
    begun = 0;
    const lists = Array.from({ length: 150 }, async () => (await api.call('GET', '/nodes')).body.items.length as number);
    const passed = async (call: Promise<Answer | number>): Promise<number> => {
      await call;
      return begun;
    };
    const others = [api.beat('node-1'), api.call('POST', '/nodes/node-2/register', { body: {} }), api.call('GET', '/nodes/node-3')];
    for (const count of await Promise.all(others.map(passed))) {
      assert.ok(count < 40, `${count} lists came first`);
    }
    assert.deepEqual(new Set(await Promise.all(lists)), new Set([FLEET]));
  });

  test('of more than a thousand lists at once each is answered: with a list, or with when to come again', async () => {
    await using api = await startApi(); // where time stands still nobody has waited for too long
    await api.apply('Node', 'node-1');
    const lists = Array.from({ length: 1100 }, () => api.call('GET', '/nodes?limit=1'));
    const one = await api.call('GET', '/nodes/node-1');
    assert.equal(one.status, 200);
    const answers = await Promise.all(lists);
    const refused = answers.filter(({ status }) => status !== 200);
    assert.ok(refused.length > 0 && refused.length < 100, `${refused.length} were refused`);
    for (const { status, headers, body } of refused) {
      assert.equal(status, 429);
      assert.match(headers['retry-after'] ?? '', /^[1-5]$/u);
      assert.match(body.detail, /^Cannot list now as \d+ such requests wait already: try again in [1-5] s/u);
    }
    assert.equal((await api.call('GET', '/nodes?limit=1')).status, 200);
  });

  test('more watches than may list at once: each has its list, as the ones before gave their place up', async () => {
    await using api = await startApi({ listen: true });
    await api.apply('Node', 'node-1');
    const watches = await Promise.all(Array.from({ length: 12 }, () => openWatch(api.server, 'nodes')));
    for (const watch of watches) {
      await using open = watch;
      assert.equal((await open.next())?.type, 'ADDED');
    }
  });

  test('connections that say nothing, and such as never come to an end, keep nobody from beating', async () => {
    const { api, store } = await startFleet();
    await using _api = api;
    const before = await versions(store);
    const { headersTimeout, requestTimeout } = api.server.app.server;
    assert.ok(
      headersTimeout > 0 && headersTimeout <= 30_000 && requestTimeout > 0 && requestTimeout <= 60_000,
      'slow senders are cut some day',
    );
    using crowd = new Crowd(api);
    await crowd.open(800, '');
    const slow = 'POST /api/v1/nodes/node-0/heartbeat HTTP/1.1\r\nhost: 127.0.0.1\r\n';
    await crowd.open(200, `${slow}x-slow: `);
    await crowd.open(200, `${slow}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{`);
    {
      await using agents = await Agents.start(api);
      for (let round = 0; round < 5; round += 1) {
        await agents.round();
        crowd.say(' ');
      }
    }
    assert.deepEqual(await versions(store), before, 'a node was written: somebody was blamed');
  });

  test('a fleet that comes back all at once after a restart gets in, is not blamed, and finds its Projects as they were', async () => {
    const { api, store } = await startFleet();
    const projects = Array.from({ length: FLEET }, (_, index) => boundOf(`project-${index}`, `node-${index}`));
    await store.commit(projects.map((object) => ({ op: 'create', object })));
    const before = await store.list<ProjectObject>('Project');
    await api.stop();
    await using again = await start(store);
    const call = async (path: string, init?: RequestInit): Promise<Response> => {
      const response = await fetch(`${again.server.url}/api/v1${path}`, init);
      assert.ok(response.ok, `${path}: ${response.status}`);
      return response;
    };
    const post = (body: string): RequestInit => ({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
    const stop = new AbortController();
    await Promise.all(
      Array.from({ length: FLEET }, async (_, index) => {
        const name = `node-${index}`;
        await call(`/nodes/${name}/register`, post('{}'));
        await call(`/nodes/${name}/heartbeat`, post(BODY));
        const list = (await (await call(`/projects?nodeRef=${name}`)).json()) as { readonly items: readonly ProjectObject[] };
        assert.deepEqual(
          list.items.map(({ metadata }) => metadata.name),
          [`project-${index}`],
        );
        await call(`/projects?nodeRef=${name}&watch=true&resourceVersion=${before.version}`, { signal: stop.signal });
      }),
    );
    stop.abort();
    assert.deepEqual(new Set(await states(store)), new Set(['Ready']));
    const after = await store.list<ProjectObject>('Project');
    assert.deepEqual(
      after.items.map(({ status }) => [status.nodeRef, status.assignment, status.phase]),
      before.items.map(({ status }) => [status.nodeRef, status.assignment, status.phase]),
    );
  });
});
