import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  creditHolding,
  holdMsOf,
  judgeHeartbeat,
  judgeRegistration,
  newHolding,
  type Holding,
  type Moment,
  type Verdict,
} from './node-identity.ts';

const TIMEOUT_MS = 90_000;
const ID = 'identity-1';

/** One name on a server: `heardAtMs` is when its holder was last heard. */
class Name {
  holding: Holding | undefined;
  nowMs = 0;
  heardAtMs = -Infinity;
  #questions = 0;

  register(bootId: string | undefined, id = ID): Verdict['kind'] {
    return this.#take(judgeRegistration(this.holding, { id, bootId }, this.#moment()));
  }

  beat(bootId: string | undefined, options: { readonly answer?: string | undefined; readonly id?: string } = {}): Verdict['kind'] {
    const { answer, id = ID } = options;
    return this.#take(judgeHeartbeat(this.holding, { id, bootId, answer }, this.#moment()));
  }

  /** A heartbeat as a live agent sends it: it answers when it is asked. */
  beatAlive(bootId: string): Verdict['kind'] {
    const first = this.beat(bootId);
    return first === 'challenged' ? this.beat(bootId, { answer: this.holding?.challenge?.question }) : first;
  }

  /** The server forgets which boots there were. */
  restartServer(): void {
    this.holding = newHolding({ id: ID });
    this.heardAtMs = this.nowMs; // a full timeout for everyone
  }

  #moment(): Moment {
    const leftMs = this.heardAtMs + TIMEOUT_MS - this.nowMs;
    return {
      nowMs: this.nowMs,
      timeoutMs: TIMEOUT_MS,
      heldForMs: leftMs > 0 ? leftMs : undefined,
      ask: () => `question-${(this.#questions += 1)}`,
    };
  }

  #take(verdict: Verdict): Verdict['kind'] {
    this.holding = verdict.holding;
    if (verdict.kind === 'granted') {
      this.heardAtMs = this.nowMs;
    }
    return verdict.kind;
  }
}

describe('another identity', () => {
  test('judgeRegistration() refuses it while the holder lives, and lets it in when that is silent', () => {
    const name = new Name();
    name.register('boot-1');
    name.nowMs = TIMEOUT_MS - 1;
    assert.equal(name.register('boot-2', 'identity-2'), 'refused');
    name.nowMs = TIMEOUT_MS;
    assert.equal(name.register('boot-2', 'identity-2'), 'granted');
    assert.equal(name.register('boot-1'), 'refused');
  });

  test('judgeHeartbeat() refuses it, whether the holder lives or not: it is to register', () => {
    const name = new Name();
    name.register('boot-1');
    assert.equal(name.beat('boot-2', { id: 'identity-2' }), 'refused');
    name.nowMs = TIMEOUT_MS;
    assert.equal(name.beat('boot-2', { id: 'identity-2' }), 'refused');
  });

  test('judgeRegistration() gives a released name to the next that registers, and the former is refused', () => {
    const name = new Name();
    name.register('boot-1');
    name.holding = { ...(name.holding as Holding), isReleased: true };
    assert.equal(name.beatAlive('boot-1'), 'granted'); // it goes on until somebody takes the name
    assert.equal(name.register('boot-2', 'identity-2'), 'granted');
    assert.equal(name.beatAlive('boot-1'), 'refused');
    assert.equal(name.register('boot-1'), 'refused');
  });

  test('judgeRegistration() gives a released name to a copy, and the one that held it is then the second', () => {
    const name = new Name();
    name.register('boot-1');
    name.holding = { ...(name.holding as Holding), isReleased: true };
    assert.equal(name.register('boot-2'), 'granted');
    assert.equal(name.beatAlive('boot-1'), 'refused');
    assert.equal(name.beatAlive('boot-2'), 'granted');
  });
});

describe('the same identity', () => {
  test('judgeHeartbeat() finds out the younger of two copies at the next heartbeat of the elder', () => {
    const name = new Name();
    name.register('elder');
    name.beatAlive('elder');
    assert.deepEqual([name.register('copy'), name.beatAlive('copy')], ['granted', 'granted']);
    assert.equal(name.beatAlive('elder'), 'granted');
    assert.equal(name.beat('copy'), 'refused'); // it need not be asked again
    assert.equal(name.register('copy'), 'refused');
    assert.equal(name.beatAlive('elder'), 'granted');
  });

  test('judgeHeartbeat() does not believe a message that a dead process left behind, however often it comes', () => {
    const name = new Name();
    name.register('before');
    name.beatAlive('before');
    name.register('now');
    for (let straggler = 0; straggler < 5; straggler += 1) {
      assert.equal(name.beat('before'), 'challenged');
      assert.equal(name.beat('before', { answer: 'question-0' }), 'challenged');
    }
    assert.deepEqual([name.beatAlive('now'), name.register('now')], ['granted', 'granted']);
  });

  test('judgeRegistration() that was left behind by a dead process does not cost the live one its name', () => {
    const name = new Name();
    name.register('now');
    name.beatAlive('now');
    assert.equal(name.register('before'), 'granted'); // nobody can tell yet
    const verdict = judgeHeartbeat(
      name.holding,
      { id: ID, bootId: 'now' },
      { nowMs: 0, timeoutMs: TIMEOUT_MS, heldForMs: TIMEOUT_MS, ask: () => 'q' },
    );
    assert.equal(verdict.kind, 'challenged');
    const proven = judgeHeartbeat(
      verdict.holding,
      { id: ID, bootId: 'now', answer: 'q' },
      { nowMs: 0, timeoutMs: TIMEOUT_MS, heldForMs: TIMEOUT_MS, ask: () => 'q' },
    );
    assert.equal(proven.kind, 'granted');
    assert.equal(proven.kind === 'granted' && proven.rivalry, undefined); // it never beat, so nobody says that two live
  });

  test('judgeHeartbeat() refuses the elder when it comes back later than a timeout after the copy has taken over', () => {
    const name = new Name();
    name.register('elder');
    name.register('copy');
    for (name.nowMs = 0; name.nowMs <= TIMEOUT_MS; name.nowMs += 30_000) {
      name.beatAlive('copy');
    }
    assert.equal(name.beatAlive('elder'), 'refused');
    assert.equal(name.register('elder'), 'refused');
    assert.equal(name.beatAlive('copy'), 'granted');
  });

  test('judgeRegistration() lets the second in when the first is silent for a timeout', () => {
    const name = new Name();
    name.register('elder');
    name.register('copy');
    name.beatAlive('elder');
    assert.equal(name.register('copy'), 'refused');
    name.nowMs = TIMEOUT_MS;
    assert.deepEqual([name.register('copy'), name.beatAlive('copy')], ['granted', 'granted']);
  });

  test('after a restart of the server, who beats is elder than who registers', () => {
    const name = new Name();
    name.restartServer();
    assert.equal(name.register('copy'), 'granted');
    name.beatAlive('copy');
    assert.equal(name.beatAlive('elder'), 'granted');
    assert.equal(name.beatAlive('copy'), 'refused');
  });

  test('an agent that says no bootId is not told apart', () => {
    const name = new Name();
    assert.deepEqual([name.register(undefined), name.register(undefined), name.beat(undefined)], ['granted', 'granted', 'granted']);
  });
});

/** What happens to a lone machine, which goes on beating afterwards; what dead processes left behind comes first. */
const event = fc.record({
  kind: fc.constantFrom('nothing', 'restart', 'server restarts', 'partition'),
  stragglers: fc.array(fc.record({ isRegistration: fc.boolean(), from: fc.nat({ max: 9 }), afterMs: fc.nat({ max: 5000 }) }), {
    maxLength: 4,
  }),
});

const RESTART = { kind: 'restart', stragglers: [] };
/** Once refused: more boots within a timeout than were remembered. */
const FIVE_RESTARTS = [
  RESTART,
  RESTART,
  RESTART,
  RESTART,
  {
    kind: 'restart',
    stragglers: [
      { isRegistration: true, from: 1, afterMs: 1 },
      { isRegistration: true, from: 0, afterMs: 0 },
    ],
  },
];

test('a lone machine is never refused, however often it and the server restart and whatever its dead processes left behind', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const name = new Name();
      let boots = 1;
      name.register('boot-0');
      for (const { kind, stragglers } of events) {
        name.nowMs += kind === 'partition' ? TIMEOUT_MS + 1 : 30_000;
        if (kind === 'restart') {
          boots += 1;
          assert.equal(name.register(`boot-${boots - 1}`), 'granted');
        } else if (kind === 'server restarts') {
          name.restartServer();
        }
        for (const { isRegistration, from, afterMs } of boots > 1 ? stragglers : []) {
          name.nowMs += afterMs;
          const dead = `boot-${from % (boots - 1)}`;
          void (isRegistration ? name.register(dead) : name.beat(dead));
        }
        assert.equal(name.beatAlive(`boot-${boots - 1}`), 'granted');
      }
    }),
    { numRuns: 1000, examples: [[FIVE_RESTARTS]] },
  );
});

test('an elder that registers again, as for its tunnel, stays the elder: it wins with its next heartbeat, and the copy loses', () => {
  const name = new Name();
  name.register('elder');
  name.beatAlive('elder');
  name.register('copy');
  name.beatAlive('copy');
  assert.equal(name.register('elder'), 'granted');
  assert.equal(name.beatAlive('copy'), 'granted');
  assert.equal(name.beatAlive('elder'), 'granted');
  assert.equal(name.beatAlive('copy'), 'refused');
});

test('of two live machines exactly one is refused once each has beaten, and the same one from then on', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ isElder: fc.boolean(), afterMs: fc.nat({ max: 20_000 }) }), { maxLength: 40 }), (beats) => {
      const name = new Name();
      name.register('elder');
      name.beatAlive('elder');
      name.register('copy');
      name.beatAlive('copy');
      let isFound = false;
      let elderHeardAtMs = name.nowMs;
      for (const { isElder, afterMs } of beats) {
        name.nowMs += afterMs;
        if (name.nowMs - elderHeardAtMs >= TIMEOUT_MS) {
          return; // silent for a timeout, the elder has lost the name to the copy, as any machine would
        }
        elderHeardAtMs = isElder ? name.nowMs : elderHeardAtMs;
        name.heardAtMs = name.nowMs; // both beat often enough in between
        isFound ||= isElder;
        const expected: string = isElder || !isFound ? 'granted' : 'refused';
        assert.equal(name.beatAlive(isElder ? 'elder' : 'copy'), expected);
      }
    }),
  );
});

describe('a machine that may be a copy', () => {
  const register = (holding: Holding | undefined, heldForMs: number | undefined, nowMs = 0): Verdict =>
    judgeRegistration(holding, { id: ID, bootId: 'new', unproven: true }, { nowMs, timeoutMs: TIMEOUT_MS, heldForMs, ask: () => 'q' });
  const before = { ...newHolding({ id: ID, bootId: 'old' }), hasBeaten: true };

  test('judgeRegistration() holds it until the one before has been silent for half a timeout', () => {
    const { holding } = register(before, TIMEOUT_MS - 10_000); // heard 10 s ago
    assert.equal(holdMsOf(holding, 0), TIMEOUT_MS / 2 - 10_000);
    assert.equal(holdMsOf(holding, TIMEOUT_MS / 2 - 10_000), 0);
    assert.equal(holdMsOf(holding, TIMEOUT_MS - 1), 0); // what it starts now may have to be taken back
    assert.equal(holdMsOf(holding, TIMEOUT_MS), undefined);
  });

  test('judgeRegistration() does not hold it where the one before is silent already, was reset, or never was', () => {
    assert.equal(holdMsOf(register(before, TIMEOUT_MS / 2 - 1).holding, 0), 0);
    assert.equal(register(before, undefined).holding.trial, undefined);
    assert.equal(register({ ...before, isReleased: true }, TIMEOUT_MS).holding.trial, undefined);
    assert.equal(register(undefined, undefined).holding.trial, undefined);
  });

  test('judgeRegistration() keeps it on trial when the same start registers again', () => {
    const { holding } = register(before, TIMEOUT_MS);
    assert.equal(holdMsOf(register(holding, TIMEOUT_MS, 10_000).holding, 10_000), TIMEOUT_MS / 2 - 10_000);
  });

  test('judgeHeartbeat() holds it also where the server has forgotten who was there', () => {
    const moment = { nowMs: 0, timeoutMs: TIMEOUT_MS, heldForMs: TIMEOUT_MS, ask: () => 'q' };
    const { holding } = judgeHeartbeat(newHolding({ id: ID }), { id: ID, bootId: 'new', unproven: true }, moment);
    assert.equal(holdMsOf(holding, 0), TIMEOUT_MS / 2);
    assert.equal(holdMsOf(judgeHeartbeat(newHolding({ id: ID }), { id: ID, bootId: 'new' }, moment).holding, 0), undefined);
  });

  test('creditHolding() adds what the server stood still: nobody could be heard meanwhile', () => {
    const { holding } = register(before, TIMEOUT_MS);
    const later = creditHolding(holding, 60_000);
    assert.equal(holdMsOf(later, 60_000), TIMEOUT_MS / 2);
    assert.equal(later.elders[0]?.untilMs, TIMEOUT_MS + 60_000);
  });
});
