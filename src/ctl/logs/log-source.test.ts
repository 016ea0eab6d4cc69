import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { LOG_PING_MS, LOG_SILENCE_MS, type LogRecord } from '../../api/log-record.ts';
import type { LogClient, LogQuery } from '../../client/log-client.ts';
import { readSource } from './log-source.ts';

const FOREVER = new AbortController().signal;
const HOUR_MS = 3_600_000;

function line(text: string): LogRecord {
  return { type: 'line', stream: 'stdout', time: '2027-01-01T00:00:00.000000001Z', text };
}

const BEGINNING: readonly LogRecord[] = [
  { type: 'node', name: 'worker-01' },
  { type: 'container', id: '0123456789ab' },
  { type: 'live', time: '2027-01-01T00:00:00.000000000Z' },
];

/** Reads until `count` lines and remarks have come, and notes them. */
function follow(client: LogClient, clock: VirtualClock, count: number) {
  const told: string[] = [];
  const query = { project: 'shop', service: 'web', follow: true };
  const done = (async () => {
    for await (const event of readSource({ client, query, clock, random: { next: () => 0.5, uuid: () => '' } }, FOREVER)) {
      told.push(...(event.kind === 'note' ? [event.text] : event.kind === 'lines' ? event.lines.map(({ text }) => String(text)) : []));
      if (told.length >= count) {
        return;
      }
    }
  })();
  return { told, done };
}

describe('readSource()', () => {
  it('readSource() stays with a service that has nothing to say for an hour', async () => {
    const clock = new VirtualClock();
    let readings = 0;
    const client: LogClient = {
      read: async function* () {
        readings += 1;
        yield BEGINNING;
        for (let quietMs = 0; quietMs < HOUR_MS; quietMs += LOG_PING_MS) {
          await clock.sleep(LOG_PING_MS, FOREVER);
          yield [{ type: 'ping' }];
        }
        yield [line('after an hour')];
      },
    };
    const { told, done } = follow(client, clock, 1);
    await clock.advance(HOUR_MS);
    await done;
    assert.deepEqual([told, readings], [['after an hour'], 1]);
  });

  it('readSource() leaves a connection that has gone dead without a word, goes on behind what it has, and says how long that took', async () => {
    const clock = new VirtualClock();
    const asked: LogQuery[] = [];
    const client: LogClient = {
      read: async function* (query) {
        asked.push(query);
        yield BEGINNING;
        yield [line(asked.length === 1 ? 'before' : 'after')];
        await new Promise(() => undefined);
      },
    };
    const { told, done } = follow(client, clock, 3);
    await clock.advance(2 * LOG_SILENCE_MS);
    await done;
    assert.deepEqual(told, ['before', '15 s without contact with worker-01', 'after']);
    assert.equal(asked[1]?.cursor?.stdout?.count, 1);
  });
});
