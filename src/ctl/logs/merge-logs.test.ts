import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { timeOf, type LogLine } from '../../api/log-record.ts';
import type { SourceEvent } from './log-source.ts';
import { mergeLogs } from './merge-logs.ts';

function line(time: number, text = ''): LogLine {
  return { type: 'line', stream: 'stdout', time: String(time).padStart(6, '0'), text };
}

async function* from(events: readonly SourceEvent[]): AsyncGenerator<SourceEvent> {
  yield* events;
}

async function merge(sources: readonly AsyncIterable<SourceEvent>[]): Promise<readonly string[]> {
  const told: string[] = [];
  for await (const event of mergeLogs(sources)) {
    told.push(...(event.kind === 'note' ? [event.text] : event.lines.map((one) => `${event.source} ${timeOf(one)} ${one.text}`)));
  }
  return told;
}

describe('mergeLogs()', () => {
  it('mergeLogs() tells every line once, in the order of time, each service in its own order', async () => {
    const batches = fc.array(fc.array(fc.nat(50), { maxLength: 5 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(batches, { maxLength: 4 }), async (services) => {
        const sorted = services.map((lots) => {
          const times = lots.flat().toSorted((a, b) => a - b);
          let at = 0;
          return lots.map((lot) => lot.map(() => line(times[at] ?? 0, String(at++))));
        });
        const told = await merge(sorted.map((lots) => from(lots.map((lines) => ({ kind: 'lines', lines })))));
        const expected = sorted.flatMap((lots, source) => lots.flat().map(({ time, text }) => `${source} ${time} ${text}`));
        assert.deepEqual(told.toSorted(), expected.toSorted());
        const times = told.map((text) => text.split(' ')[1] ?? '');
        assert.deepEqual(times, times.toSorted());
        for (const source of sorted.keys()) {
          const own = told.filter((text) => text.startsWith(`${source} `));
          assert.deepEqual(
            own,
            expected.filter((text) => text.startsWith(`${source} `)),
          );
        }
      }),
    );
  });

  it('mergeLogs() does not wait for a service that is live and quiet', async () => {
    const quiet = (async function* (): AsyncGenerator<SourceEvent> {
      yield { kind: 'lines', lines: [line(1)] };
      yield { kind: 'idle' };
      await new Promise(() => undefined);
    })();
    const merged = mergeLogs([
      quiet,
      from([
        { kind: 'lines', lines: [line(2)] },
        { kind: 'note', text: 'a remark' },
      ]),
    ]);
    const told: string[] = [];
    while (told.length < 3) {
      const { value } = (await merged.next()) as { readonly value: { kind: string; source: number } };
      told.push(`${value.source} ${value.kind}`);
    }
    assert.deepEqual(told, ['0 lines', '1 lines', '1 note']);
  });

  it('mergeLogs() fails as the first of its sources does', async () => {
    const failing = (async function* (): AsyncGenerator<SourceEvent> {
      yield { kind: 'note', text: 'before' };
      throw new Error('gone');
    })();
    await assert.rejects(merge([failing, from([])]), /gone/u);
  });
});
