import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import { StartError } from '../../base/program.ts';
import { systemRandom } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { HeartbeatAnswer } from '../../client/cara-client.ts';
import { createHeartbeater, heartbeatTimeLimitMs } from './heartbeater.ts';
import { createRegistrar } from './registrar.ts';
import { runSession } from './session.ts';
import type { StandingCell } from './standing.ts';

const INTERVAL_MS = 30_000;
const AWAY = new ApiError('Unavailable', 'Cannot reach the server');

/** A session on a virtual clock against a server that answers what `server` says; each request is noted with its time. */
function setUp(options: { readonly hasJoined?: boolean } = {}) {
  const clock = new VirtualClock();
  const messages: { readonly msg: string; readonly detail?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void messages.push(JSON.parse(line)) });
  const server = {
    register: async (_isRenewal: boolean): Promise<void> => undefined,
    beat: async (_signal: AbortSignal, _answer?: string): Promise<HeartbeatAnswer | undefined> => undefined,
  };
  const registrations: number[] = [];
  const beats: number[] = [];
  const clusters: string[] = [];
  let returns = 0;
  const standing: StandingCell = { current: 'joining', hasRegistered: false };
  const changed = new Wakeup();
  const firstSample = new Wakeup();
  const shared = { nodeName: 'worker-01', clock, random: systemRandom, log };
  const registrar = createRegistrar({
    ...shared,
    client: {
      serverUrl: 'http://server',
      version: async () => ({ version: '1', apiVersion: 'caravanserai/v1', clusterId: 'c1' }),
      registerNode: async (_name, { renewal }) => {
        registrations.push(clock.monotonicMs());
        await server.register(renewal === true);
        return { node: {} as NodeObject };
      },
    },
    registration: () => ({ ...(standing.hasRegistered && { renewal: true }) }),
    standing,
    onCredential: () => undefined,
    onRefused: () => (standing.current = 'refused'),
    hasJoined: () => options.hasJoined ?? false,
    onCluster: async (clusterId) => void clusters.push(clusterId),
  });
  const heartbeater = createHeartbeater({
    ...shared,
    client: {
      sendHeartbeat: async (_name, { identity }, signal) => {
        beats.push(clock.monotonicMs());
        return (await server.beat(signal, identity?.answer)) ?? {};
      },
    },
    intervalMs: INTERVAL_MS,
    body: (answer) => ({ identity: { id: 'identity-1', ...(answer !== undefined && { answer }) } }),
    onAccepted: () => {
      returns += standing.current === 'deleted' ? 1 : 0;
      standing.current = 'registered';
      registrar.confirm();
    },
    onDeleted: () => (standing.current = 'deleted'),
    changed,
  });
  let registeredCalls = 0;
  const session = { registrar, heartbeater, onRegistered: () => (registeredCalls += 1), standing, firstSample, clock, log };
  const controller = new AbortController();
  let failure: unknown;
  const running = runSession(session, controller.signal).catch((error: unknown) => (failure = error));
  return {
    clock,
    server,
    registrations,
    beats,
    clusters,
    standing,
    changed,
    firstSample,
    logged: (msg: string) => messages.filter((record) => record.msg === msg).length,
    failure: () => failure,
    returns: () => returns,
    registeredCalls: () => registeredCalls,
    [Symbol.asyncDispose]: async () => {
      controller.abort();
      await running;
    },
  };
}

function refuse(reason: ConstructorParameters<typeof ApiError>[0], retryAfterMs?: number) {
  return async (): Promise<never> => {
    throw new ApiError(reason, `Refused: ${reason}`, retryAfterMs === undefined ? {} : { retryAfterMs });
  };
}

describe('runSession()', () => {
  it('runSession() registers, beats as soon as the machine was measured, then at its interval with at most 10 % of jitter', async () => {
    await using world = setUp();
    await world.clock.advance(100);
    assert.deepEqual([world.registrations.length, world.beats.length, world.clusters], [1, 0, ['c1']]);
    world.firstSample.notify();
    await world.clock.settle();
    assert.deepEqual(world.beats, [100]);
    assert.equal(world.standing.current, 'registered');
    await world.clock.advance(20 * INTERVAL_MS);
    const gaps = world.beats.slice(1).map((atMs, index) => atMs - (world.beats[index] ?? 0));
    assert.ok(gaps.length >= 18 && gaps.every((gap) => gap >= 0.9 * INTERVAL_MS && gap <= 1.1 * INTERVAL_MS), gaps.join());
    assert.ok(new Set(gaps).size > 1);
  });

  it('runSession() waits two seconds at most for the first measurement', async () => {
    await using world = setUp();
    await world.clock.advance(1999);
    assert.equal(world.beats.length, 0);
    await world.clock.advance(1);
    assert.equal(world.beats.length, 1);
  });

  it('runSession() keeps trying while the server is away, and says so once', async () => {
    await using world = setUp();
    world.server.register = async () => {
      throw AWAY;
    };
    await world.clock.advance(600_000);
    assert.ok(world.registrations.length > 40, `${world.registrations.length} attempts`);
    assert.equal(world.logged('registration failing'), 1);
    world.server.register = async () => undefined;
    await world.clock.advance(15_000);
    assert.equal(world.logged('registration recovered'), 1);
    assert.equal(world.standing.current, 'registered');
  });

  it('runSession() tries slowly for a name that is taken, and gets it when it comes free', async () => {
    await using world = setUp();
    world.server.register = refuse('NameTaken');
    await world.clock.advance(600_000);
    assert.ok(world.registrations.length >= 10 && world.registrations.length < 120, `${world.registrations.length} attempts`);
    assert.equal(world.logged('registration failing'), 1);
    assert.equal(world.beats.length, 0);
    world.server.register = async () => undefined;
    await world.clock.advance(62_001);
    assert.equal(world.standing.current, 'registered');
    assert.ok(world.beats.length >= 1);
  });

  it('runSession() ends with the reason when an agent that never joined is refused', async () => {
    await using world = setUp();
    world.server.register = refuse('Invalid');
    await world.clock.advance(1);
    const failure = world.failure();
    assert.ok(failure instanceof StartError);
    assert.equal(failure.message, 'Cannot register node "worker-01" at http://server: Refused: Invalid');
  });

  it('runSession() goes on when the answer to its first registration was lost and the node deleted since', async () => {
    await using world = setUp();
    world.server.register = refuse('NodeDeleted');
    await world.clock.advance(120_000);
    assert.deepEqual([world.failure(), world.logged('registration failing')], [undefined, 1]);
  });

  it('runSession() goes on trying when an agent that has joined before is refused: it may have Projects to keep up', async () => {
    await using world = setUp({ hasJoined: true });
    world.server.register = refuse('Invalid');
    await world.clock.advance(120_000);
    assert.equal(world.failure(), undefined);
    assert.ok(world.registrations.length > 1);
  });
});

describe('createHeartbeater()', () => {
  it('createHeartbeater() registers at once when the server does not know the node', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    world.server.beat = async () => {
      world.server.beat = async () => undefined;
      throw new ApiError('NotFound', 'Cannot find node');
    };
    await world.clock.advanceUntil(() => world.registrations.length === 2, 40_000);
    assert.equal(world.registeredCalls(), 2);
    assert.deepEqual(world.beats.slice(1), [world.registrations[1], world.registrations[1]]); // refused, registered, accepted: at one instant
  });

  it('runSession() does not bring a node back that was deleted before it registered again, and beats for its record', async () => {
    await using world = setUp();
    const renewals: boolean[] = [];
    world.server.register = async (isRenewal) => {
      renewals.push(isRenewal);
      if (isRenewal) {
        throw new ApiError('NodeDeleted', 'Deleted while its agent ran');
      }
    };
    await world.clock.advance(2000);
    world.server.beat = async () => {
      world.server.beat = refuse('NodeDeleted');
      throw new ApiError('NotFound', 'Cannot find node');
    };
    await world.clock.advance(10 * INTERVAL_MS);
    assert.deepEqual([renewals, world.standing.current, world.registeredCalls()], [[false, true], 'deleted', 1]);
    assert.equal(world.logged('node record was deleted: keeps supervising; restart cara-agent to register again'), 1);
    world.server.beat = async () => undefined;
    await world.clock.advance(2 * INTERVAL_MS);
    assert.deepEqual([world.standing.current, world.returns(), renewals.length], ['registered', 1, 2]);
  });

  it('createHeartbeater() does not storm a server that takes registrations but knows no node', async () => {
    await using world = setUp();
    world.server.beat = async (signal) => {
      await world.clock.sleep(10, signal);
      throw new ApiError('NotFound', 'Cannot find node');
    };
    await world.clock.advance(600_000);
    assert.ok(world.registrations.length < 200, `${world.registrations.length} registrations in 10 min`);
  });

  it('createHeartbeater() goes on beating a deleted node, says so once, never registers, and notices when its record is back', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    world.server.beat = refuse('NodeDeleted');
    await world.clock.advance(10 * INTERVAL_MS);
    assert.equal(world.standing.current, 'deleted');
    assert.equal(world.logged('node record was deleted: keeps supervising; restart cara-agent to register again'), 1);
    assert.equal(world.registrations.length, 1);
    assert.ok(world.beats.length >= 9);
    world.server.beat = async () => undefined;
    await world.clock.advance(2 * INTERVAL_MS);
    assert.equal(world.standing.current, 'registered');
    assert.deepEqual([world.returns(), world.logged('node record is back')], [1, 1]);
  });

  it('createHeartbeater() retries sooner than its interval when the server is away, and says so once', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    world.server.beat = async () => {
      throw AWAY;
    };
    await world.clock.advance(40_000);
    const before = world.beats.length;
    await world.clock.advance(INTERVAL_MS);
    assert.ok(world.beats.length - before >= 2);
    assert.equal(world.logged('heartbeats failing'), 1);
    assert.equal(world.registrations.length, 1);
    world.server.beat = async () => undefined;
    await world.clock.advance(INTERVAL_MS / 2);
    assert.equal(world.logged('heartbeats recovered'), 1);
  });

  it('createHeartbeater() leaves the server alone for as long as it asks', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    world.server.beat = refuse('TooManyRequests', 60_000);
    await world.clock.advanceUntil(() => world.beats.length === 2, 40_000);
    await world.clock.advance(59_900);
    assert.equal(world.beats.length, 2);
    await world.clock.advance(200);
    assert.equal(world.beats.length, 3);
  });

  it('createHeartbeater() beats ahead of time when something changed, but not more than once a second', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    for (let round = 0; round < 50; round += 1) {
      world.changed.notify();
      await world.clock.advance(100);
    }
    assert.ok(world.beats.length >= 5 && world.beats.length <= 7, `${world.beats.length} beats in 5 s`);
  });

  it('createHeartbeater() answers at once what the server asks', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    const answers: (string | undefined)[] = [];
    world.server.beat = async (_signal, answer) => {
      answers.push(answer);
      return answer === undefined ? { challenge: 'question-1' } : undefined;
    };
    await world.clock.advanceUntil(() => answers.length === 2, 40_000);
    assert.deepEqual(answers, [undefined, 'question-1']);
    assert.equal(world.beats.at(-1), world.beats.at(-2));
    assert.equal(world.standing.current, 'registered');
  });

  it('createHeartbeater() warns once of an interval of which not two fit into the heartbeat timeout', async () => {
    await using world = setUp();
    const told = (): number => world.logged('heartbeat interval is too long for the heartbeat timeout');
    world.server.beat = async () => await Promise.resolve({ grantedMs: 2 * INTERVAL_MS + 1 });
    await world.clock.advance(3 * INTERVAL_MS);
    assert.equal(told(), 0);
    world.server.beat = async () => await Promise.resolve({ grantedMs: 2 * INTERVAL_MS });
    await world.clock.advance(5 * INTERVAL_MS);
    assert.equal(told(), 1);
  });

  it('createHeartbeater() stops when another machine holds the name; the registrar asks again slowly and logs once', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    world.server.beat = refuse('DuplicateIdentity');
    world.server.register = refuse('DuplicateIdentity', 60_000);
    await world.clock.advance(20 * INTERVAL_MS);
    assert.deepEqual([world.beats.length, world.standing.current], [2, 'refused']);
    assert.ok(world.registrations.length >= 9 && world.registrations.length <= 12, `${world.registrations.length} attempts in 10 min`);
    assert.deepEqual([world.logged('registration failing'), world.logged('heartbeats failing')], [1, 0]);
    world.server.beat = async () => undefined;
    world.server.register = async () => undefined;
    await world.clock.advance(61_000);
    assert.equal(world.standing.current, 'registered');
    assert.equal(world.beats.length > 2, true);
  });

  it('createHeartbeater() has one request under way at a time', async () => {
    await using world = setUp();
    await world.clock.advance(2000);
    let underWay = 0;
    let most = 0;
    world.server.beat = async (signal) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await world.clock.sleep(20_000, signal).finally(() => (underWay -= 1));
      return undefined;
    };
    for (let round = 0; round < 100; round += 1) {
      world.changed.notify();
      await world.clock.advance(1000);
    }
    assert.equal(most, 1);
  });

  it('heartbeatTimeLimitMs() is below every interval', () => {
    assert.equal(heartbeatTimeLimitMs(300), 150);
    assert.equal(heartbeatTimeLimitMs(30_000), 10_000);
  });
});
