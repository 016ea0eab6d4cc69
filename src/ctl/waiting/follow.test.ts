import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { ApiError } from '../../api/errors.ts';
import type { WatchEvent } from '../../api/watch-event.ts';
import type { Clock } from '../../base/clock.ts';
import type { ResourceClient } from '../../client/resource-client.ts';
import { follow, type FollowEvent, type Named } from './follow.ts';

function item(name: string, version: string): Named {
  const at = '2026-01-01T00:00:00Z';
  return {
    metadata: { name, labels: {}, annotations: {}, uid: name, resourceVersion: version, generation: 1, createdAt: at, updatedAt: at },
  };
}

type Round = { readonly read: readonly Named[] | Error; readonly watch?: readonly (WatchEvent<Named> | Error)[] };

/** A server that plays one round after the other; after the last it is silent. */
function play(rounds: readonly Round[]): { readonly resource: ResourceClient<Named>; readonly calls: string[] } {
  const calls: string[] = [];
  let round = -1;
  const read = (call: string): readonly Named[] => {
    round += 1;
    calls.push(call);
    const { read: answer } = rounds[round] ?? { read: [] };
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  };
  const unused = (): never => assert.fail('not called by follow()');
  return {
    calls,
    resource: {
      list: async () => ({ apiVersion: 'caravanserai/v1', kind: 'List', metadata: { resourceVersion: '100' }, items: read('list') }),
      find: async (name) => read(`find ${name}`).find(({ metadata }) => metadata.name === name),
      watch: async function* ({ since }, signal) {
        calls.push(`watch ${since}`);
        for (const event of rounds[round]?.watch ?? []) {
          if (event instanceof Error) {
            throw event;
          }
          yield event;
        }
        if (round >= rounds.length - 1) {
          const { promise, reject } = Promise.withResolvers<never>();
          signal.addEventListener('abort', () => reject(signal.reason));
          await promise;
        }
      },
      get: unused,
      apply: unused,
      patch: unused,
      delete: unused,
    },
  };
}

/** Back-off passes at once; the 30 s of a watch never do. */
const clock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  sleep: async (ms, signal) => {
    if (ms < 10_000) {
      await nextTurn();
      return;
    }
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason));
    await promise;
  },
};

async function take(resource: ResourceClient<Named>, count: number, name?: string): Promise<readonly FollowEvent<Named>[]> {
  const events: FollowEvent<Named>[] = [];
  const random = { next: () => 0, uuid: () => 'u' };
  for await (const event of follow(
    { resource, query: {}, clock, random, ...(name !== undefined && { name }) },
    new AbortController().signal,
  )) {
    events.push(event);
    if (events.length === count) {
      break;
    }
  }
  return events;
}

test('follow() gives what is there, then each change, and takes bookmarks for nothing', async () => {
  const { resource, calls } = play([
    {
      read: [item('a', '1')],
      watch: [
        { type: 'BOOKMARK', object: { kind: 'Node', metadata: { resourceVersion: '101' } } },
        { type: 'MODIFIED', object: item('a', '102') },
        { type: 'DELETED', object: item('a', '103') },
      ],
    },
  ]);
  const events = await take(resource, 3);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['listed', 'changed', 'gone'],
  );
  assert.deepEqual(calls, ['list', 'watch 100']);
});

test('follow() reads anew after a break, so nothing that happened meanwhile is missed', async () => {
  const away = new ApiError('Unavailable', 'Cannot reach the server');
  const { resource } = play([{ read: [item('a', '1')], watch: [away] }, { read: away }, { read: [] }]);
  assert.deepEqual(
    (await take(resource, 4)).map(({ kind }) => kind),
    ['listed', 'away', 'away', 'listed'],
  );
});

test('follow() of one name reads it alone and watches from its version, and hears of no other', async () => {
  const { resource, calls } = play([
    {
      read: [item('a', '7')],
      watch: [
        { type: 'MODIFIED', object: item('b', '8') },
        { type: 'MODIFIED', object: item('a', '9') },
      ],
    },
  ]);
  const events = await take(resource, 2, 'a');
  assert.deepEqual(calls, ['find a', 'watch 7']);
  assert.deepEqual(events[1], { kind: 'changed', object: item('a', '9') });
});

test('follow() of one name lists for a newer version once its own has expired', async () => {
  const { resource, calls } = play([
    { read: [item('a', '7')], watch: [new ApiError('Expired', 'too old')] },
    { read: [item('a', '7'), item('b', '8')] },
  ]);
  const events = await take(resource, 2, 'a');
  assert.deepEqual(calls.slice(0, 3), ['find a', 'watch 7', 'list']);
  assert.deepEqual(events[1], { kind: 'listed', items: [item('a', '7')], warnings: [] });
});

test('follow() ends with what no waiting mends', async () => {
  const { resource } = play([{ read: new ApiError('Forbidden', 'not allowed') }]);
  await assert.rejects(take(resource, 1), { reason: 'Forbidden' });
});
