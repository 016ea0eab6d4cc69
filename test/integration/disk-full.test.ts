/** A server whose disk is full for a while: what callers hear, what readyz says, and how little is logged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { ApiError } from '../../src/api/errors.ts';
import { loadConfig } from '../../src/base/config.ts';
import { systemRandom } from '../../src/base/random.ts';
import { serverSettings } from '../../src/server/config.ts';
import { startServer } from '../../src/server/main.ts';
import { ChangeLog } from '../../src/store/change-log.ts';
import { createDocumentStore } from '../../src/store/document-store.ts';
import { Documents } from '../../src/store/documents.ts';
import { manifestOf } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

test('a full disk refuses writes with 503, is told once, not per request, and readyz follows it by itself', async () => {
  const clock = new VirtualClock();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  let isFull = false;
  const write = (): void => {
    if (isFull) {
      throw new ApiError('Unavailable', 'Cannot write as the disk is full');
    }
  };
  const store = createDocumentStore({
    documents: new Documents(),
    changeLog: new ChangeLog({ clock, logSize: 100 }),
    journal: { write, size: () => 0, probe: write, ping: () => undefined, close: () => undefined },
    defer: queueMicrotask,
    log,
  });
  const config = loadConfig(serverSettings({ env: {}, isRoot: true }), { argv: [], env: {} });
  const server = await startServer({ config, clock, random: systemRandom, log, store, listen: false });
  const create = async (name: string): Promise<number> =>
    (await server.app.inject({ method: 'POST', url: '/api/v1/nodes', payload: manifestOf('Node', name) })).statusCode;
  const ready = async (): Promise<number> => (await server.app.inject('/api/readyz')).statusCode;
  assert.deepEqual([await create('before'), await ready()], [201, 200]);
  lines.length = 0;
  isFull = true;
  for (let count = 0; count < 30; count += 1) {
    assert.equal(await create(`worker-${count}`), 503);
  }
  assert.deepEqual([await ready(), await ready()], [503, 503]);
  const loud = lines.filter(({ level }) => Number(level) >= 50);
  assert.deepEqual(
    loud.map(({ msg, detail, err }) => [msg, detail, err]),
    [['store cannot write', 'Cannot write as the disk is full', undefined]],
  );
  isFull = false;
  assert.deepEqual([await ready(), await create('after')], [200, 201]);
  const over = lines.find(({ msg }) => msg === 'store writes again');
  assert.ok(Number(over?.['refused']) >= 30);
  await server.stop();
  await store.close();
});
