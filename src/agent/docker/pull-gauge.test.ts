import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from './engine.ts';
import { gaugePulls } from './pull-gauge.ts';

const never = new AbortController().signal;

/** An engine of a class, with private state, whose pulls end when the test says so. */
class SlowEngine {
  readonly #pulls: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #pings = 0;

  async ping(): Promise<void> {
    this.#pings += 1;
  }

  get pings(): number {
    return this.#pings;
  }

  async pullImage(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pulls.push({ resolve, reject });
    await promise;
  }

  end(index: number, error?: Error): void {
    const pull = this.#pulls[index];
    if (error === undefined) {
      pull?.resolve();
    } else {
      pull?.reject(error);
    }
  }
}

test('gaugePulls() tells of pulls from the first that begins to the last that ends, also in failure', async () => {
  const slow = new SlowEngine();
  const { engine, isPulling } = gaugePulls(slow as unknown as Engine);
  assert.equal(isPulling(), false);
  const pulls = [engine.pullImage('a:1', {}, never), engine.pullImage('b:1', {}, never)];
  assert.equal(isPulling(), true);
  slow.end(0);
  await pulls[0];
  assert.equal(isPulling(), true);
  slow.end(1, new Error('no such image'));
  await assert.rejects(pulls[1] ?? Promise.resolve(), { message: 'no such image' });
  assert.equal(isPulling(), false);
});

test('gaugePulls() leaves every other call to the engine', async () => {
  const slow = new SlowEngine();
  await gaugePulls(slow as unknown as Engine).engine.ping(never);
  assert.equal(slow.pings, 1);
});
