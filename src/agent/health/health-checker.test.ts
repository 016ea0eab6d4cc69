import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { HealthCheck } from '../../api/project/health-check.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { LABEL } from '../docker/names.ts';
import { createHealthChecker, type HealthChecker } from './health-checker.ts';
import type { ProbeResult } from './probe.ts';

const CHECK: HealthCheck = { httpGet: { port: 80 }, interval: '10s', timeout: '5s', retries: 2, startPeriod: '20s' };
const PASSED: ProbeResult = { hasPassed: true, output: 'fine' };
const FAILED: ProbeResult = { hasPassed: false, output: 'no' };

function container(id: string, { startedAt = '2026-01-01T00:00:00Z', check = CHECK, isRunning = true } = {}): ContainerDetail {
  const status = isRunning ? 'running' : 'exited';
  const state = {
    status,
    isRunning,
    exitCode: 0,
    isOomKilled: false,
    error: '',
    startedAt,
    finishedAt: undefined,
    health: undefined,
  } as const;
  const labels = { [LABEL.service]: id, [LABEL.healthCheck]: JSON.stringify(check) };
  const networks = { cara_shop: { networkId: 'n', ipAddress: `10.0.0.${id}`, aliases: [] } };
  const rest = { name: id, createdAt: '', image: 'a', imageId: 'a', restartCount: 0, ports: [], mounts: [], hasTty: false };
  return { id, labels, state, networks, ...rest };
}

/** A checker whose probes are answered by the test, on a clock that the test moves. */
class Bench implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly checker: HealthChecker;
  readonly changed: string[] = [];
  readonly asked: string[] = [];
  result: ProbeResult | undefined = PASSED;
  isNear = true;
  underWay = 0;
  mostUnderWay = 0;
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor() {
    this.checker = createHealthChecker({
      clock: this.clock,
      log: pino({ level: 'silent' }),
      onChange: (project) => this.changed.push(project),
      isNear: () => this.isNear,
      probe: async ({ address }, signal) => {
        this.asked.push(address);
        this.underWay += 1;
        this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
        try {
          await this.clock.sleep(this.result === undefined ? 1e9 : 0, signal);
          return this.result ?? FAILED;
        } finally {
          this.underWay -= 1;
        }
      },
    });
    this.#running = this.checker.run(this.#controller.signal).catch(() => undefined);
  }

  look(containers: readonly ContainerDetail[], wasHealthy = false): readonly (string | undefined)[] {
    return this.checker.look('shop', containers, () => wasHealthy).map(({ state }) => state.health?.status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#running;
    assert.equal(this.underWay, 0);
    assert.equal(this.checker.size, 0);
    assert.equal(this.clock.sleepers, 0);
  }
}

test('a container is checked at once, and then each interval', async () => {
  await using bench = new Bench();
  assert.deepEqual(bench.look([container('1')]), ['starting']);
  await bench.clock.settle();
  assert.deepEqual(bench.look([container('1')]), ['healthy']);
  assert.deepEqual(bench.changed, ['shop']);
  await bench.clock.advance(35_000);
  assert.equal(bench.asked.length, 4);
});

test('failures make it unhealthy, and a new run of it begins anew', async () => {
  await using bench = new Bench();
  bench.look([container('1')]);
  await bench.clock.settle();
  bench.result = FAILED;
  await bench.clock.advance(21_000);
  const [found] = bench.checker.look('shop', [container('1')], () => false);
  assert.equal(found?.state.health?.status, 'unhealthy');
  assert.equal(found.state.health.log.at(-1)?.output, 'no');
  assert.deepEqual(bench.look([container('1', { startedAt: '2026-01-01T00:05:00Z' })]), ['starting']);
});

test('nothing is left of containers that have gone, ended or been dropped, and checks under way are given up', async () => {
  await using bench = new Bench();
  bench.result = undefined;
  bench.look([container('1'), container('2')]);
  await bench.clock.settle();
  assert.equal(bench.underWay, 2);
  bench.look([container('1', { isRunning: false })]);
  await bench.clock.settle();
  assert.deepEqual([bench.checker.size, bench.underWay], [0, 0]);
  bench.look([container('1')]);
  await bench.clock.settle();
  bench.checker.drop('shop');
  await bench.clock.settle();
  assert.deepEqual([bench.checker.size, bench.underWay], [0, 0]);
});

test('a container that was healthy before the agent was restarted is so without a check', async () => {
  await using bench = new Bench();
  bench.result = FAILED;
  assert.deepEqual(bench.look([container('1')], true), ['healthy']);
  await bench.clock.settle();
  assert.deepEqual(bench.look([container('1')], true), ['healthy']);
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.look([container('1')], true), ['unhealthy']);
});

test('a jump of the wall clock takes nothing of the start period of what starts while the agent watches', async () => {
  await using bench = new Bench();
  bench.result = FAILED;
  bench.look([]);
  bench.clock.jumpWall(86_400_000);
  bench.look([container('1')]);
  await bench.clock.advance(15_000);
  assert.deepEqual(bench.look([container('1')]), ['starting']);
  await bench.clock.advance(16_000);
  assert.deepEqual(bench.look([container('1')]), ['unhealthy']);
});

test('an agent that was stopped for an hour holds it against no container', async () => {
  await using bench = new Bench();
  bench.look([container('1')]);
  await bench.clock.settle();
  bench.clock.stall(3_600_000);
  await bench.clock.advance(1);
  assert.deepEqual([bench.look([container('1')]), bench.asked.length], [['healthy'], 2]);
});

test('what the agent cannot reach is not unhealthy, and says what to do', async () => {
  await using bench = new Bench();
  bench.result = { hasPassed: false, output: 'no route', isSilent: true };
  bench.isNear = false;
  bench.look([container('1')]);
  await bench.clock.advance(100_000);
  const [found] = bench.checker.look('shop', [container('1')], () => false);
  assert.equal(found?.state.health?.status, 'starting');
  assert.match(found.state.health.problem ?? '', /does not reach the container at 10\.0\.0\.1.*healthCheck\.test/u);
});

test('many containers are checked a few at a time, and all of them', async () => {
  await using bench = new Bench();
  bench.look(Array.from({ length: 100 }, (_, index) => container(String(index))));
  await bench.clock.advance(1);
  assert.equal(new Set(bench.asked).size, 100);
  assert.ok(bench.mostUnderWay <= 16, `${bench.mostUnderWay}`);
});

test('a label that is no check is left alone', async () => {
  await using bench = new Bench();
  const odd = { ...container('1'), labels: { [LABEL.healthCheck]: '{"httpGet":' } };
  assert.deepEqual(bench.look([odd]), [undefined]);
});
