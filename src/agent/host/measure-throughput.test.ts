import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fakeLine, type FakeLine } from '../../../test/support/network/fake-line.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import { measureDownload, measureUpload, type MeasureOptions, type Speed } from './measure-throughput.ts';

const MIB = 1024 * 1024;
const LIMITS = { maxBytes: 8 * MIB, limitMs: 5000 };
const never = new AbortController().signal;

interface Measured {
  readonly speed: Speed;
  readonly ms: number;
  readonly line: FakeLine;
}

/** Measures over a line in virtual time. */
async function measure(
  direction: (options: MeasureOptions, signal: AbortSignal) => Promise<Speed>,
  line: { readonly bitsPerSecond: number; readonly latencyMs?: number; readonly stallAtBytes?: number; readonly proxyLimitBytes?: number },
): Promise<Measured> {
  const clock = new VirtualClock();
  const fake = fakeLine(clock, line);
  const options = { ...LIMITS, link: fake, clock, noise: (bytes: number) => [new Uint8Array(bytes)] };
  let measured: Measured | undefined;
  const measuring = direction(options, never).then((speed) => (measured = { speed, ms: clock.monotonicMs(), line: fake }));
  measuring.catch(() => undefined);
  await clock.advance(LIMITS.limitMs);
  assert.equal(clock.sleepers, 0, 'no timer is left');
  return measured ?? (await measuring);
}

function assertNear(speed: Speed, bitsPerSecond: number, tolerance: number): void {
  assert.ok(speed !== undefined && Math.abs(speed / bitsPerSecond - 1) <= tolerance, `${speed} is not near ${bitsPerSecond}`);
}

describe('measureDownload()', () => {
  for (const [title, line, tolerance] of [
    ['a fast line, ending before the limit', { bitsPerSecond: 100e6, latencyMs: 40 }, 0.001],
    ['a line that needs longer than the limit, by what has come', { bitsPerSecond: 4e6, latencyMs: 40 }, 0.06],
  ] as const) {
    test(`measureDownload() measures ${title}`, async () => {
      assertNear((await measure(measureDownload, line)).speed, line.bitsPerSecond, tolerance);
    });
  }

  test('measureDownload() counts the time in which a line that fell silent brought nothing', async () => {
    const { speed } = await measure(measureDownload, { bitsPerSecond: 100e6, stallAtBytes: MIB });
    assertNear(speed, (MIB * 8) / 5, 0.08);
  });

  test('measureDownload() tells nothing of a line that brings nothing in time', async () => {
    assert.equal((await measure(measureDownload, { bitsPerSecond: 10_000 })).speed, undefined);
  });
});

describe('measureUpload()', () => {
  for (const [title, line, tolerance] of [
    ['a fast line, by its largest part', { bitsPerSecond: 100e6, latencyMs: 40 }, 0.1],
    ['a line that needs longer than the limit, by the parts that ended in time', { bitsPerSecond: 4e6, latencyMs: 40 }, 0.06],
    ['a line behind a proxy that refuses bodies over 1 MiB', { bitsPerSecond: 20e6, proxyLimitBytes: MIB }, 0.1],
  ] as const) {
    test(`measureUpload() measures ${title}`, async () => {
      assertNear((await measure(measureUpload, line)).speed, line.bitsPerSecond, tolerance);
    });
  }

  test('measureUpload() begins no part that would not end in time', async () => {
    for (const bitsPerSecond of [400e3, 4e6, 9e6]) {
      const { ms } = await measure(measureUpload, { bitsPerSecond, latencyMs: 40 });
      assert.ok(ms < LIMITS.limitMs, `${ms} ms`);
    }
  });

  test('measureUpload() tells nothing of a line on which not even the first part ends in time', async () => {
    assert.equal((await measure(measureUpload, { bitsPerSecond: 10_000 })).speed, undefined);
  });

  test('measureUpload() rejects where the first part is refused', async () => {
    await assert.rejects(measure(measureUpload, { bitsPerSecond: 20e6, proxyLimitBytes: 1000 }), { reason: 'PayloadTooLarge' });
  });
});

describe('both directions', () => {
  test('measureDownload() and measureUpload() keep to bytes and time on any line, and never call it faster than it is', async () => {
    const anyLine = fc.record({
      bitsPerSecond: fc
        .integer({ min: 3, max: 10 })
        .chain((exponent) => fc.integer({ min: 1, max: 9 }).map((digit) => digit * 10 ** exponent)),
      latencyMs: fc.integer({ min: 0, max: 800 }),
    });
    await fc.assert(
      fc.asyncProperty(anyLine, fc.constantFrom(measureDownload, measureUpload), async (line, direction) => {
        const { speed, ms, line: used } = await measure(direction, line);
        assert.ok(used.bytes <= LIMITS.maxBytes, `${used.bytes} bytes`);
        assert.ok(ms <= LIMITS.limitMs, `${ms} ms`);
        assert.ok((speed ?? 0) <= line.bitsPerSecond * 1.001, `${speed}`);
      }),
      { numRuns: 100 },
    );
  });

  for (const direction of [measureDownload, measureUpload]) {
    test(`${direction.name}() rejects with the signal's reason when aborted`, async () => {
      const clock = new VirtualClock();
      const stopping = new AbortController();
      const options = { ...LIMITS, link: fakeLine(clock, { bitsPerSecond: 1e6 }), clock, noise: () => [new Uint8Array(1000)] };
      const measuring = assert.rejects(direction(options, stopping.signal), { message: 'Enough' });
      await clock.advance(1);
      stopping.abort(new Error('Enough'));
      await measuring;
      assert.equal(clock.sleepers, 0);
    });

    test(`${direction.name}() makes an ApiError of a connection that is cut`, async () => {
      const clock = new VirtualClock();
      const link = fakeLine(clock, { bitsPerSecond: 1e6, failure: new TypeError('terminated') });
      const options = { ...LIMITS, link, clock, noise: () => [new Uint8Array(1000)] };
      const measuring = assert.rejects(direction(options, never), (error) => error instanceof ApiError && error.reason === 'Unavailable');
      await clock.advance(5000);
      await measuring;
    });
  }
});
