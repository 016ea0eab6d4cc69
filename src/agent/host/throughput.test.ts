import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { fakeLine, type FakeLine } from '../../../test/support/network/fake-line.ts';
import { makeScratch, type Scratch } from '../../../test/support/scratch.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import { systemRandom } from '../../base/random.ts';
import { createThroughputMonitor, type ThroughputMonitor } from './throughput.ts';

const SECOND = 1000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SPREAD = 30 * SECOND;
const TEST = 10 * SECOND;
const SERVER = 'http://100.64.0.1:8080';

interface Agent {
  readonly clock: VirtualClock;
  readonly line: FakeLine;
  readonly monitor: ThroughputMonitor;
  readonly messages: readonly string[];
  isBusy: boolean;
  /** Ends the loop, as a stopped agent does. */
  stop(): Promise<void>;
}

const kept = (throughput: object | null): string => JSON.stringify({ format: 1, serverUrl: SERVER, throughput });

let scratch: Scratch;
let file: string;
let agents: Agent[] = [];
beforeEach(() => {
  scratch = makeScratch();
  file = path.join(scratch.path, 'throughput.json');
});
afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  agents = [];
  scratch[Symbol.dispose]();
});

/** An agent's monitor on a line of 20 Mbit/s. */
function startAgent({ clock = new VirtualClock(), serverUrl = SERVER, isBusy = false } = {}): Agent {
  const line = fakeLine(clock, { bitsPerSecond: 20e6 });
  const messages: string[] = [];
  const log = pino({ level: 'info' }, { write: (text) => void messages.push((JSON.parse(text) as { msg: string }).msg) });
  const stopping = new AbortController();
  const agent: Agent = {
    clock,
    line,
    messages,
    isBusy,
    monitor: createThroughputMonitor({
      link: line,
      serverUrl,
      path: file,
      spreadMs: SPREAD,
      isBusy: () => agent.isBusy,
      clock,
      random: systemRandom,
      log,
    }),
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
  const running = agent.monitor.run(stopping.signal).catch((error: unknown) => assert.ok(stopping.signal.aborted, String(error)));
  agents.push(agent);
  return agent;
}

/** Waits for the loop to have read or written its file and to sleep: the one sleeper outside of a test. */
async function untilAsleep({ clock }: Agent): Promise<void> {
  while (clock.sleepers !== 1) {
    await nextTurn();
  }
}

/** The server takes a heartbeat. */
async function answer(agent: Agent): Promise<void> {
  agent.monitor.serverAnswered();
  await untilAsleep(agent);
}

/** A first test that was made, and kept. */
async function measured(agent: Agent): Promise<void> {
  await answer(agent);
  await agent.clock.advance(SPREAD + TEST);
  await untilAsleep(agent);
}

describe('run()', () => {
  test('run() measures after the first heartbeat, not before, within 30 s', async () => {
    const agent = startAgent();
    await agent.clock.advance(DAY);
    assert.deepEqual([agent.line.calls, agent.monitor.latest()], [0, undefined]);
    await measured(agent);
    const { download, upload, lastTestTime } = agent.monitor.latest() ?? {};
    assert.match(`${download} ${upload}`, /^(?:19\.\d|20\.0) Mbit\/s (?:19\.\d|20\.0) Mbit\/s$/u);
    const afterMs = Date.parse(String(lastTestTime)) - Date.UTC(2026, 0, 2);
    assert.ok(afterMs > 0 && afterMs <= SPREAD + TEST, String(lastTestTime));
    assert.deepEqual(agent.messages, ['throughput measured']);
    assert.ok(agent.line.bytes <= 16 * 1024 * 1024);
  });

  test('run() measures daily, give or take a tenth', async () => {
    const agent = startAgent();
    await measured(agent);
    const { calls } = agent.line;
    await agent.clock.advance(0.9 * DAY - 2 * (SPREAD + TEST));
    assert.equal(agent.line.calls, calls);
    await agent.clock.advance(0.2 * DAY + 2 * (SPREAD + TEST));
    assert.equal(agent.line.calls, 2 * calls);
  });

  test('run() does not measure again at a restart before it is due, and tells what was measured', async () => {
    const first = startAgent();
    await measured(first);
    await first.stop();
    const { clock } = first;
    const second = startAgent({ clock });
    await answer(second);
    assert.deepEqual(second.monitor.latest(), first.monitor.latest());
    await clock.advance(DAY - 2 * (SPREAD + TEST));
    assert.equal(second.line.calls, 0);
    await clock.advance(3 * (SPREAD + TEST));
    assert.ok(second.line.calls > 0);
  });

  for (const [title, spoil] of [
    ['was of the line to another server', (content: string) => content.replace('100.64.0.1', '100.64.0.2')],
    ['is cut short', (content: string) => content.slice(0, 40)],
    ['is of another form', () => '[]'],
    ['is of another format', (content: string) => content.replace('"format":1', '"format":2')],
    ['has no result', () => kept(null)],
    ['has a time that the server would refuse', (content: string) => content.replace(/("lastTestTime":"[^T]*)T/u, '$1 ')],
    ['has a speed that the server would refuse', (content: string) => content.replace('Mbit/s', 'M'.repeat(64))],
    ['lies in the future', (content: string) => content.replace(/"lastTestTime":"2026/u, '"lastTestTime":"2036')],
  ] as const) {
    test(`run() measures at a start where what was kept ${title}`, async () => {
      const first = startAgent();
      await measured(first);
      await first.stop();
      writeFileSync(file, spoil(readFileSync(file, 'utf8')));
      const second = startAgent({ clock: first.clock });
      await measured(second);
      assert.ok(second.line.calls > 0);
    });
  }

  test('run() never measures while an image is being pulled, and does so soon afterwards', async () => {
    const agent = startAgent({ isBusy: true });
    await answer(agent);
    await agent.clock.advance(2 * HOUR);
    assert.equal(agent.line.calls, 0);
    agent.isBusy = false;
    await agent.clock.advance(SPREAD + TEST);
    assert.ok(agent.monitor.latest() !== undefined);
  });

  test('run() leaves off within 100 ms when a pull begins, keeps nothing of it, and starts anew when the pull has ended', async () => {
    const agent = startAgent();
    await answer(agent);
    await agent.clock.advanceUntil(() => agent.line.bytes > 0, SPREAD, 10);
    agent.isBusy = true;
    await agent.clock.advance(100);
    const { bytes } = agent.line;
    await agent.clock.advance(HOUR);
    assert.deepEqual([agent.line.bytes, agent.monitor.latest(), agent.messages], [bytes, undefined, []]);
    agent.isBusy = false;
    await agent.clock.advance(SPREAD + TEST);
    assert.ok(agent.monitor.latest() !== undefined);
  });

  test('run() comes back after the time that a busy server asks for, and calls it no failure', async () => {
    const agent = startAgent();
    agent.line.fail(new ApiError('TooManyRequests', 'Cannot measure throughput', { retryAfterMs: 120_000 }));
    await answer(agent);
    await agent.clock.advanceUntil(() => agent.line.calls === 1, SPREAD, 10);
    await agent.clock.advance(120_000);
    assert.equal(agent.line.calls, 1);
    agent.line.fail(undefined);
    await agent.clock.advance(60_000 + TEST);
    assert.deepEqual(agent.messages, ['throughput measured']);
  });

  test('run() tries again with growing waits while the server is away, and tells of it once', async () => {
    const agent = startAgent();
    agent.line.fail(new ApiError('Unavailable', 'Cannot reach the server'));
    await answer(agent);
    await agent.clock.advance(DAY);
    assert.ok(agent.line.calls >= 24 && agent.line.calls <= 260, `${agent.line.calls} tries in a day`);
    agent.line.fail(undefined);
    await agent.clock.advance(HOUR + TEST);
    await untilAsleep(agent);
    assert.deepEqual(agent.messages, ['throughput test failing', 'throughput measured', 'throughput test recovered']);
  });

  test('run() asks a server that knows no tests once a day', async () => {
    const agent = startAgent();
    agent.line.fail(new ApiError('NotFound', 'Cannot GET /api/v1/throughput'));
    await answer(agent);
    await agent.clock.advance(10 * DAY);
    assert.ok(agent.line.calls >= 9 && agent.line.calls <= 12, `${agent.line.calls} tries in ten days`);
  });

  test('run() keeps the last result where a later test fails', async () => {
    const agent = startAgent();
    await measured(agent);
    const kept = agent.monitor.latest();
    agent.line.fail(new ApiError('Unavailable', 'Cannot reach the server'));
    await agent.clock.advance(2 * DAY);
    assert.deepEqual(agent.monitor.latest(), kept);
  });

  test('run() goes on in memory where the result cannot be kept', async () => {
    file = path.join(scratch.path, 'none', 'throughput.json');
    const agent = startAgent();
    await answer(agent);
    await agent.clock.advance(SPREAD + TEST);
    while (agent.messages.length < 2) {
      await nextTurn();
    }
    assert.deepEqual(agent.messages, ['throughput measured', 'throughput cannot be kept: it is measured again at the next start']);
    assert.ok(agent.monitor.latest() !== undefined);
  });
});
