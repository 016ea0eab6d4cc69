import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { toEngineFailure } from '../docker/engine-failure.ts';
import { EngineError, type EngineReason } from '../docker/engine-error.ts';
import { RegistryGate } from './registry-gate.ts';

const IMAGE = 'registry.example/app:1';
const OTHER = 'registry.example/other:1';
const AUTH = { username: 'ann', password: 'x', serverAddress: 'registry.example' };

function gateAt(): { readonly gate: RegistryGate; readonly clock: VirtualClock } {
  const clock = new VirtualClock();
  return { gate: new RegistryGate({ clock, random: { next: () => 0.5, uuid: () => '' } }), clock };
}

function fault(reason: EngineReason, retryAfterMs?: number): EngineError {
  return new EngineError(reason, `Cannot pull image "${IMAGE}": the words`, { retryAfterMs });
}

function isOpen(gate: RegistryGate, image: string, auth?: typeof AUTH): boolean {
  try {
    gate.enter(image, auth);
    return true;
  } catch {
    return false;
  }
}

test('leave() closes the whole registry on a rate limit, for as long as it asks, and lets one ask again first', async () => {
  const { gate, clock } = gateAt();
  const told = gate.leave(IMAGE, undefined, fault('TooManyRequests', 300_000));
  assert.ok(told instanceof EngineError);
  assert.equal(told.retryAfterMs, 300_000);
  assert.match(told.message, /registry registry\.example limits .*\(said: the words\)$/u);
  assert.equal(isOpen(gate, OTHER, AUTH), false);
  assert.equal(isOpen(gate, 'elsewhere.example/app'), true);
  await clock.advance(299_999);
  assert.equal(isOpen(gate, IMAGE), false);
  await clock.advance(1);
  assert.equal(isOpen(gate, IMAGE), true);
  assert.equal(isOpen(gate, OTHER), false, 'the first to ask goes ahead');
  gate.leave(IMAGE, undefined, undefined);
  assert.equal(isOpen(gate, OTHER), true);
});

test('leave() backs off for minutes, ever longer, and never much longer than an hour', () => {
  const { gate } = gateAt();
  const waits = [1, 2, 3].map(() => (gate.leave(IMAGE, undefined, fault('TooManyRequests')) as EngineError).retryAfterMs ?? 0);
  assert.ok(
    waits.every((wait) => wait >= 30_000 && wait <= 600_000),
    String(waits),
  );
  assert.ok((waits[2] ?? 0) > (waits[0] ?? 0));
  assert.equal((gate.leave(IMAGE, undefined, fault('TooManyRequests', 1e12)) as EngineError).retryAfterMs, 3_600_000);
});

test('leave() keeps a refusal to the repository and the credentials that met it', () => {
  const { gate } = gateAt();
  gate.leave(IMAGE, AUTH, fault('PullDenied'));
  assert.equal(isOpen(gate, 'registry.example/app:2', AUTH), false);
  assert.equal(isOpen(gate, IMAGE, { ...AUTH, password: 'y' }), true);
  assert.equal(isOpen(gate, IMAGE), true);
  assert.equal(isOpen(gate, OTHER, AUTH), true);
});

test('leave() leaves any other failure to the back-off of who pulls', () => {
  const { gate } = gateAt();
  const error = fault('PullFailed');
  assert.equal(gate.leave(IMAGE, undefined, error), error);
  assert.equal(isOpen(gate, IMAGE), true);
});

test('toEngineFailure() reads how long a registry wants quiet from its words', () => {
  const meaning = { action: 'pull', byWords: ['TooManyRequests'] } as const;
  const read = (words: string): number | undefined => toEngineFailure(500, words, meaning).retryAfterMs;
  assert.equal(read('toomanyrequests: retry-after: 1.5s, allowed: 44000/minute'), 1500);
  assert.equal(read('toomanyrequests: Retry-After: 120'), 120_000);
  assert.equal(read('toomanyrequests: retry-after: 2m'), 120_000);
  assert.equal(read('toomanyrequests: slow down'), undefined);
  assert.equal(read('unauthorized: retry-after: 2m'), undefined);
});
