import assert from 'node:assert/strict';
import http from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { openWatch, startApiOn, type ApiServer, type WatchLine } from '../support/worlds/api.ts';

const start = (store = createMemoryStore({ clock: systemClock })): Promise<ApiServer> =>
  startApiOn({ clock: systemClock, store, listen: true });

function told(line: WatchLine | undefined): string {
  if (line === undefined) {
    return 'end';
  }
  return line.type === 'ERROR'
    ? `ERROR ${line.object.status}`
    : `${line.type} ${'name' in line.object.metadata ? line.object.metadata.name : ''}`;
}

const label = (zone: string | null): object => ({ metadata: { labels: { zone } } });

async function readToEnd(response: http.IncomingMessage): Promise<readonly WatchLine[]> {
  const lines: WatchLine[] = [];
  let rest = '';
  for await (const chunk of response) {
    const parts = `${rest}${String(chunk)}`.split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((part) => JSON.parse(part) as WatchLine));
  }
  return lines;
}

describe('watch', () => {
  test('without a version it begins with ADDED for each object, then a bookmark, then what comes', async () => {
    await using api = await start();
    await api.apply('Node', 'a');
    await api.apply('Node', 'b');
    await using watch = await openWatch(api.server, 'nodes');
    assert.deepEqual([told(await watch.next()), told(await watch.next()), told(await watch.next())], ['ADDED a', 'ADDED b', 'BOOKMARK ']);
    await api.apply('Node', 'c');
    await api.apply('Node', 'a', label('x'));
    await api.call('DELETE', '/nodes/b');
    assert.deepEqual(
      [told(await watch.next()), told(await watch.next()), told(await watch.next())],
      ['ADDED c', 'MODIFIED a', 'DELETED b'],
    );
  });

  test('from the version of a list it misses nothing and repeats nothing', async () => {
    await using api = await start();
    await api.apply('Node', 'a');
    const list = await api.call('GET', '/nodes');
    await api.apply('Node', 'b');
    await using watch = await openWatch(api.server, 'nodes', `resourceVersion=${list.body.metadata.resourceVersion}`);
    assert.equal(told(await watch.nextChange()), 'ADDED b');
    await api.apply('Node', 'c');
    assert.equal(told(await watch.nextChange()), 'ADDED c');
  });

  test('what enters a filtered view is ADDED, what leaves it DELETED, and the rest is not told', async () => {
    await using api = await start();
    await using watch = await openWatch(api.server, 'nodes', 'labelSelector=zone%3Dx');
    await api.apply('Node', 'outside', label('y'));
    await api.apply('Node', 'a', label('x'));
    await api.apply('Node', 'a', { spec: { unschedulable: true } });
    await api.apply('Node', 'outside', label('z'));
    await api.apply('Node', 'a', label('y'));
    await api.apply('Node', 'a', label('x'));
    await api.call('DELETE', '/nodes/outside');
    await api.call('DELETE', '/nodes/a');
    const seen: string[] = [];
    while (seen.length < 5) {
      seen.push(told(await watch.nextChange()));
    }
    assert.deepEqual(seen, ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a', 'DELETED a']);
  });

  test('steady heartbeats wake no watcher; objects told carry the last heartbeat', async () => {
    await using api = await start();
    await api.apply('Node', 'a');
    await using watch = await openWatch(api.server, 'nodes');
    assert.equal(told(await watch.nextChange()), 'ADDED a');
    await api.beat('a');
    const ready = await watch.nextChange();
    assert.equal(told(ready), 'MODIFIED a');
    assert.ok(ready?.type === 'MODIFIED' && ready.object.status.lastHeartbeat !== undefined);
    assert.equal(ready.object.status.conditions[0]?.lastHeartbeatTime, ready.object.status.lastHeartbeat);
    for (let beat = 0; beat < 20; beat += 1) {
      await api.beat('a');
    }
    await api.apply('Node', 'marker');
    assert.equal(told(await watch.nextChange()), 'ADDED marker');
  });

  test('a version that is too old, or not yet there, gets 410 as a problem before any stream', async () => {
    await using api = await start(createMemoryStore({ clock: systemClock, logSize: 4 }));
    for (let index = 0; index < 12; index += 1) {
      await api.apply('Node', `n${index}`);
    }
    for (const version of ['0', '1', '999999']) {
      const answer = await api.call('GET', `/nodes?watch=true&resourceVersion=${version}`);
      assert.deepEqual([answer.status, answer.body.reason], [410, 'Expired'], version);
      assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
    }
    assert.equal((await api.call('GET', '/nodes?watch=true&resourceVersion=abc')).status, 400);
    assert.equal((await api.call('GET', '/nodes?watch=maybe')).status, 400);
  });

  test('a client that does not read costs the server nothing, and is told ERROR 410 when it has fallen behind', async () => {
    await using api = await start(createMemoryStore({ clock: systemClock, logSize: 20 }));
    const response = await getStream(`${api.server.url}/api/v1/nodes?watch=true`);
    response.pause();
    const text = 'x'.repeat(60_000);
    for (let index = 0; index < 400; index += 1) {
      await api.apply('Node', 'big', { metadata: { annotations: { text: `${index}${text}` } } }); // 24 MB in all: more than sockets hold
    }
    const lines = await readToEnd(response);
    const last = lines.at(-1);
    assert.ok(last?.type === 'ERROR');
    assert.deepEqual([last.object.status, last.object.reason], [410, 'Expired']);
    assert.ok(lines.length < 400, `${lines.length} lines`);
  });

  test('a client that took nothing for too long, and then reads on, is told ERROR 410; one that does not is cut off', async () => {
    for (const timeouts of [1, 2]) {
      await using api = await start();
      const sockets: Socket[] = [];
      api.server.app.server.on('connection', (socket: Socket) => void sockets.push(socket));
      const response = await getStream(`${api.server.url}/api/v1/nodes?watch=true`);
      response.pause();
      const text = 'x'.repeat(60_000);
      for (let index = 0; index < 300; index += 1) {
        await api.apply('Node', 'big', { metadata: { annotations: { text: `${index}${text}` } } });
      }
      for (let times = 0; times < timeouts; times += 1) {
        sockets[0]?.emit('timeout'); // as after two minutes
      }
      if (timeouts === 1) {
        const last = (await readToEnd(response)).at(-1);
        assert.ok(last?.type === 'ERROR');
        assert.deepEqual([last.object.status, last.object.reason], [410, 'Expired']);
        assert.match(last.object.detail ?? '', /took nothing of it for too long: list again$/u);
      } else {
        await assert.rejects(readToEnd(response), /aborted/u);
      }
    }
  });

  test('a stop of the server ends every watch cleanly and soon', async () => {
    await using api = await start();
    await using watch = await openWatch(api.server, 'nodes');
    await watch.next();
    const startedMs = systemClock.monotonicMs();
    await api.stop();
    let line = await watch.next();
    while (line !== undefined) {
      line = await watch.next();
    }
    assert.ok(systemClock.monotonicMs() - startedMs < 2500, 'within seconds, before connections are cut');
  });

  test('a client that goes away is forgotten', async () => {
    await using api = await start();
    const watchers = async (): Promise<string | undefined> =>
      /cara_watchers\{kind="Node"\} (\d+)/u.exec((await api.call('GET', '/metrics')).body)?.[1];
    {
      await using watch = await openWatch(api.server, 'nodes');
      await watch.next();
      assert.equal(await watchers(), '1');
    }
    while ((await watchers()) !== '0') {
      await nextTurn();
    }
  });

  test('HEAD answers without a stream, and headers forbid caching', async () => {
    await using api = await start();
    const head = await api.call('HEAD', '/nodes?watch=true');
    assert.deepEqual([head.status, head.headers['cache-control']], [200, 'no-store']);
  });
});

async function getStream(url: string): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  http.get(url, resolve).on('error', reject);
  return promise;
}
