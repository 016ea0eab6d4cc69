import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { keepAlive } from './keep-alive.ts';
import type { WebSocketStream } from './web-socket.ts';

class FakeStream extends EventEmitter {
  isHeldUp = false;
  destroyed = false;
  pings = 0;
  ping(): void {
    this.pings += 1;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

/** Runs `rounds` of four seconds, of which `onRound` may take more. */
async function run(
  rounds: number,
  onRound: (round: number, world: { stream: FakeStream; hearing: { heardAtMs: number }; nowMs: number }) => number | void,
) {
  const stream = new FakeStream();
  const hearing = { heardAtMs: 0 };
  const stop = new AbortController();
  let nowMs = 0;
  let round = 0;
  const clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms: number) => {
      round += 1;
      if (round > rounds) {
        stop.abort();
        stop.signal.throwIfAborted();
      }
      nowMs += ms;
      nowMs += onRound(round, { stream, hearing, nowMs }) ?? 0;
    },
  };
  await keepAlive(stream as unknown as WebSocketStream, hearing, clock, stop.signal);
  return { stream, nowMs };
}

describe('keepAlive()', () => {
  it('keepAlive() cuts a stream on which nothing has come for twelve seconds', async () => {
    const { stream, nowMs } = await run(10, () => undefined);
    assert.deepEqual([stream.destroyed, nowMs, stream.pings], [true, 12_000, 2]);
  });

  it('keepAlive() leaves one alone on which something comes', async () => {
    const { stream } = await run(10, (_round, { hearing, nowMs }) => {
      hearing.heardAtMs = nowMs;
    });
    assert.deepEqual([stream.destroyed, stream.pings], [false, 10]);
  });

  it('keepAlive() leaves one alone that cannot hear, and gives it its whole time afterwards', async () => {
    const { stream, nowMs } = await run(30, (round, world) => {
      world.stream.isHeldUp = round <= 20;
    });
    assert.deepEqual([stream.destroyed, nowMs], [true, 20 * 4000 + 12_000]);
  });

  it('keepAlive() does not count the time in which this process itself stood still', async () => {
    const { stream } = await run(3, (round, { hearing, nowMs }) => {
      hearing.heardAtMs = round === 1 ? nowMs : hearing.heardAtMs;
      return round === 2 ? 60_000 : 0;
    });
    assert.equal(stream.destroyed, false);
  });
});
