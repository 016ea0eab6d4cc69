/** From a change of a Node or a Project to an Event that is read, in virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventObject } from '../../src/api/event.ts';
import { readWatchStream } from '../../src/client/watch-stream.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { HEARTBEAT_TIMEOUT_MS, startEventServer } from '../support/worlds/event-server.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const INFO = { info: { agentVersion: '0.1.0' } };

test('the life of a node is told, in order, with how long it was silent', async () => {
  await using server = await startEventServer();
  await server.nodeService.register('worker-01', INFO);
  server.beat('worker-01');
  await server.clock.advance(5000);
  await server.nodeService.patch('worker-01', { spec: { unschedulable: true } });
  await server.clock.advance(HEARTBEAT_TIMEOUT_MS + 60_000);
  server.beat('worker-01');
  await server.clock.advance(5000);
  await server.nodeService.delete('worker-01');
  await server.clock.advance(5000);
  const { body } = await server.get('/events?object=Node/worker-01');
  const told = (body.items as readonly EventObject[]).map(({ reason, count, message }) => `${reason} x${count}: ${message}`);
  const expected = [
    /^Registered x1: Its agent registered: agent 0\.1\.0$/u,
    /^Cordoned x1: /u,
    /^NodeNotReady x1: No heartbeat for longer than 1m30s/u,
    /^NodeReady x2: Draining again after 1m5s of NotReady \(NoHeartbeat\)$/u,
    /^NodeDeleted x1: Record deleted, it was Draining/u,
  ];
  assert.equal(told.length, expected.length, told.join('\n'));
  expected.forEach((words, index) => assert.match(told[index] ?? '', words));
});

test('the way of a Project is told, and a filter by object tells it from its node', async () => {
  await using server = await startEventServer();
  await server.projectService.create({
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: 'shop' },
    spec: { services: [{ name: 'web', image: 'shop/web:3' }] },
  });
  await server.nodeService.register('worker-01', INFO);
  await server.clock.advance(5000);
  await server.projectService.delete('shop', { force: false });
  await server.clock.advance(5000);
  assert.deepEqual(await server.reasons('?object=Project/shop'), ['Deleted']);
  assert.deepEqual(await server.reasons('?object=Node/worker-01'), ['Registered']);
  assert.deepEqual(await server.reasons(), ['Registered', 'Deleted']);
  assert.deepEqual(await server.reasons('?object=Project/worker-01'), []);
});

test('what was there when the server started is no event, and what happens after it is', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  {
    await using first = await startEventServer({ clock, store });
    await first.nodeService.register('worker-01', INFO);
    first.beat('worker-01');
    await clock.advance(5000);
  }
  const before = (await store.list<EventObject>('Event')).items;
  await using second = await startEventServer({ clock, store });
  await clock.advance(10_000);
  assert.deepEqual((await store.list<EventObject>('Event')).items, before);
  await second.nodeService.register('worker-02', INFO);
  await clock.advance(5000);
  assert.deepEqual(await second.reasons('?object=Node/worker-02'), ['Registered']);
});

test('the first node of an empty store is told', async () => {
  await using server = await startEventServer();
  await server.clock.advance(5000);
  await server.nodeService.register('worker-01', INFO);
  await server.clock.advance(5000);
  assert.deepEqual(await server.reasons(), ['Registered']);
});

test('a fleet that goes on beating writes nothing', async () => {
  await using server = await startEventServer();
  for (let node = 0; node < 10; node += 1) {
    await server.nodeService.register(`node-${node}`, INFO);
    server.beat(`node-${node}`);
  }
  await server.clock.advance(10_000);
  const version = await server.version();
  for (let round = 0; round < 60; round += 1) {
    Array.from({ length: 10 }, (_, node) => server.beat(`node-${node}`));
    await server.clock.advance(30_000);
  }
  assert.equal(await server.version(), version);
  assert.equal(server.recorder.pending, 0);
});

test('a node that flaps has one Event for each way, with a count', async () => {
  await using server = await startEventServer();
  await server.nodeService.register('worker-01', INFO);
  for (let round = 0; round < 3; round += 1) {
    server.beat('worker-01');
    await server.clock.advance(HEARTBEAT_TIMEOUT_MS + 10_000);
  }
  const reasons = await server.reasons('?object=Node/worker-01');
  assert.deepEqual(reasons.toSorted(), ['NodeNotReady x3', 'NodeReady x3', 'Registered']);
});

test('since selects by when an Event last happened, as a duration and as a time', async () => {
  await using server = await startEventServer();
  await server.nodeService.register('early', INFO);
  await server.clock.advance(600_000);
  await server.nodeService.register('late', INFO);
  await server.clock.advance(5000);
  assert.equal((await server.reasons()).length, 2);
  assert.equal((await server.reasons('?since=1m')).length, 1);
  assert.equal((await server.reasons('?since=1h')).length, 2);
  assert.equal((await server.reasons('?since=2026-01-01T00:05:00Z')).length, 1);
  assert.equal((await server.reasons('?since=2026-01-02T00:00:00Z&object=Node/late')).length, 0);
});

test('GET of one gives it, and 404 says that there is none', async () => {
  await using server = await startEventServer();
  await server.nodeService.register('worker-01', INFO);
  await server.clock.advance(5000);
  const [event] = (await server.get('/events')).body.items as readonly EventObject[];
  assert.deepEqual((await server.get(`/events/${event?.metadata.name}`)).body, event);
  const missing = await server.get('/events/none');
  assert.deepEqual([missing.status, missing.body.reason], [404, 'NotFound']);
});

test('nobody writes Events from outside: every other method is 405', async () => {
  await using server = await startEventServer();
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    assert.equal((await server.get('/events', method)).status, 405, method);
    assert.equal((await server.get('/events/some', method)).status, 405, method);
  }
});

test('a query that says nothing sensible is refused with a pointer', async () => {
  await using server = await startEventServer();
  for (const [query, pointer] of [
    ['?since=yesterday', '/since'],
    ['?since=10', '/since'],
    ['?object=worker-01', '/object'],
    ['?object=Node/UPPER', '/object'],
    ['?watch=true&since=never', '/since'],
    ['?limit=5', '/limit'],
    ['?watch=true&resourceVersion=x', '/resourceVersion'],
  ] as const) {
    const { status, body } = await server.get(`/events${query}`);
    assert.equal(status, 400, query);
    assert.equal(body.errors[0].pointer, pointer, query);
  }
});

test('watch gives what is there, then each Event of the object as it happens and again as it is counted on', async () => {
  await using server = await startEventServer();
  await server.nodeService.register('worker-01', INFO);
  await server.nodeService.register('worker-02', INFO);
  await server.clock.advance(5000);
  const changes = readChanges(`${await server.listen()}/api/v1/events?watch=true&object=Node/worker-01`);
  const next = async (): Promise<unknown> => (await changes.next()).value;
  assert.equal(await next(), 'ADDED Registered 1');
  server.beat('worker-02');
  server.beat('worker-01');
  await server.clock.advance(5000);
  assert.equal(await next(), 'ADDED NodeReady 1');
  await server.clock.advance(HEARTBEAT_TIMEOUT_MS);
  assert.equal(await next(), 'ADDED NodeNotReady 1');
  server.beat('worker-01');
  await server.clock.advance(5000);
  assert.equal(await next(), 'MODIFIED NodeReady 2');
  await server.stopper.stop();
  assert.equal(await next(), undefined, 'the server ends the stream when it stops');
});

/** The changes of a watch as they come: `TYPE reason count`. */
async function* readChanges(url: string): AsyncGenerator<string> {
  const { body } = await fetch(url);
  for await (const event of readWatchStream<EventObject>(body ?? new ReadableStream())) {
    if (event.type !== 'BOOKMARK') {
      yield `${event.type} ${event.object.reason} ${event.object.count}`;
    }
  }
}
