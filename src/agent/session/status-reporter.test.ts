import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError, type Reason } from '../../api/errors.ts';
import type { ProjectPhase, StatusReport } from '../../api/project.ts';
import { systemRandom } from '../../base/random.ts';
import { createStatusReporter } from './status-reporter.ts';

interface Sent {
  readonly atMs: number;
  readonly project: string;
  readonly report: StatusReport;
}

function setUp() {
  const clock = new VirtualClock();
  const sent: Sent[] = [];
  const stale: (string | number)[][] = [];
  const server = { answer: async (_project: string): Promise<void> => undefined };
  let underWay = 0;
  let most = 0;
  const reporter = createStatusReporter({
    client: {
      reportStatus: async (project, report) => {
        sent.push({ atMs: clock.monotonicMs(), project, report });
        underWay += 1;
        most = Math.max(most, underWay);
        await server.answer(project).finally(() => (underWay -= 1));
      },
    },
    onStale: (...told) => stale.push(told),
    clock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
  });
  const controller = new AbortController();
  const running = reporter.run(controller.signal).catch((error: unknown) => error);
  return {
    clock,
    sent,
    stale,
    server,
    reporter,
    most: () => most,
    say: (phase: StatusReport['phase'], message = '', project = 'shop', uid = 'u1') =>
      reporter.report({ project, uid, report: { phase, message, assignment: 1 } }),
    [Symbol.asyncDispose]: async () => {
      controller.abort();
      await running;
    },
  };
}

function refuse(reason: Reason) {
  return async (): Promise<void> => {
    throw new ApiError(reason, reason);
  };
}

const inPhase = (phase: ProjectPhase, assignment = 1) => {
  const project = makeProject({ assignment });
  return { ...project, status: { ...project.status, phase } };
};

describe('createStatusReporter()', () => {
  it('createStatusReporter() sends a change of phase at once and progress at most four times a second, the newest', async () => {
    await using world = setUp();
    world.say('Scheduled', '0');
    await world.clock.settle();
    for (let step = 1; step <= 100; step += 1) {
      world.say('Scheduled', String(step));
      await world.clock.advance(10);
    }
    assert.ok(world.sent.length >= 4 && world.sent.length <= 6, `${world.sent.length} in a second`);
    world.say('Running', 'up');
    await world.clock.settle();
    assert.deepEqual([world.sent.at(-1)?.atMs, world.sent.at(-1)?.report.phase], [world.clock.monotonicMs(), 'Running']);
  });

  it('createStatusReporter() says the same thing once', async () => {
    await using world = setUp();
    for (let round = 0; round < 5; round += 1) {
      world.say('Running', 'up');
      await world.clock.advance(1000);
    }
    assert.equal(world.sent.length, 1);
  });

  it('createStatusReporter() keeps only the newest of each Project while the server is away, and sends it when it is back', async () => {
    await using world = setUp();
    world.server.answer = refuse('Unavailable');
    world.say('Scheduled');
    await world.clock.advance(60_000);
    const tries = world.sent.length;
    assert.ok(tries > 5 && tries < 100, `${tries} tries in a minute`);
    world.say('Failed');
    world.say('Running');
    world.server.answer = async () => undefined;
    await world.clock.advance(10_000);
    assert.deepEqual(
      world.sent.slice(tries).map(({ report }) => report.phase),
      ['Running'],
    );
  });

  it('createStatusReporter() does not put a report that failed in the place of a newer one', async () => {
    await using world = setUp();
    world.server.answer = async () => {
      world.say('Running');
      throw new ApiError('Unavailable', 'away');
    };
    world.say('Scheduled');
    await world.clock.settle();
    world.server.answer = async () => undefined;
    await world.clock.advance(10_000);
    assert.deepEqual(
      world.sent.map(({ report }) => report.phase),
      ['Scheduled', 'Running'],
    );
  });

  it('createStatusReporter() shares one back-off among all Projects while the server is away', async () => {
    await using world = setUp();
    world.server.answer = refuse('Unavailable');
    for (let index = 0; index < 100; index += 1) {
      world.say('Running', '', `p${index}`, `u${index}`);
    }
    await world.clock.advance(60_000);
    assert.ok(world.sent.length < 200, `${world.sent.length} tries in a minute`);
  });

  it('createStatusReporter() has four requests under way at most, and one a Project', async () => {
    await using world = setUp();
    world.server.answer = async () => await world.clock.sleep(100, AbortSignal.timeout(60_000));
    for (let index = 0; index < 20; index += 1) {
      world.say('Scheduled', '', `p${index}`, `u${index}`);
      world.say('Running', '', `p${index}`, `u${index}`);
    }
    await world.clock.advance(2000);
    assert.equal(world.most(), 4);
    assert.equal(world.sent.length, 20);
  });

  it('createStatusReporter() has a stale copy cleared away and says nothing more of it', async () => {
    await using world = setUp();
    world.server.answer = refuse('StaleAssignment');
    world.say('Running');
    await world.clock.advance(10_000);
    assert.deepEqual(world.stale, [['shop', 'u1', 1]]);
    assert.equal(world.sent.length, 1);
  });

  it('createStatusReporter() takes a Project that the server does not know for done', async () => {
    await using world = setUp();
    world.server.answer = refuse('NotFound');
    world.say('Terminated');
    await world.clock.advance(10_000);
    assert.equal(world.sent.length, 1);
    assert.deepEqual(world.stale, []);
  });

  it('createStatusReporter() does not repeat what the server refuses as invalid, and goes on with the next', async () => {
    await using world = setUp();
    world.server.answer = refuse('Invalid');
    world.say('Running', 'a');
    await world.clock.advance(10_000);
    assert.equal(world.sent.length, 1);
    world.say('Running', 'b');
    await world.clock.advance(1000);
    assert.equal(world.sent.length, 2);
  });

  it('compare() says again what the server has otherwise, once per change of its mind', async () => {
    await using world = setUp();
    world.say('Running');
    await world.clock.settle();
    world.reporter.compare(inPhase('Running'));
    await world.clock.advance(1000);
    assert.equal(world.sent.length, 1);
    for (let round = 0; round < 5; round += 1) {
      world.reporter.compare(inPhase('Failed')); // the node was taken for lost
      await world.clock.advance(1000);
    }
    assert.equal(world.sent.length, 2);
    assert.equal(world.sent[1]?.report.phase, 'Running');
  });

  it('compare() says again what the server has otherwise for another reason than before, as what came between may have been missed', async () => {
    await using world = setUp();
    world.say('Scheduled');
    await world.clock.settle();
    world.reporter.compare(inPhase('Scheduled'));
    world.say('Running');
    await world.clock.advance(1000);
    const returned = inPhase('Scheduled');
    world.reporter.compare({ ...returned, status: { ...returned.status, reason: 'NodeReturned' } });
    await world.clock.advance(1000);
    assert.deepEqual(
      world.sent.map(({ report }) => report.phase),
      ['Scheduled', 'Running', 'Running'],
    );
  });

  it('compare() says nothing of a Project that is leaving or bound anew', async () => {
    await using world = setUp();
    world.say('Running');
    await world.clock.settle();
    world.reporter.compare(inPhase('Terminating'));
    world.reporter.compare(inPhase('Scheduled', 2));
    await world.clock.advance(1000);
    assert.equal(world.sent.length, 1);
  });

  it('forget() drops what was not sent yet', async () => {
    await using world = setUp();
    world.server.answer = refuse('Unavailable');
    world.say('Running');
    await world.clock.settle();
    world.reporter.forget('u1');
    await world.clock.advance(60_000);
    assert.equal(world.sent.length, 1);
  });
});
