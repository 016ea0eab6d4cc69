import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { projectOf } from '../../../test/support/objects/resources.ts';
import { deriveFenceTerms, deriveFenceTimes, deriveGraceMs, leastAfterMs } from './fence.ts';
import type { ProjectSpec, Service } from '../project.ts';
import { checkProjectSpec } from './project-rules.ts';

const service = (name: string, stopGracePeriod?: string, ...needs: readonly string[]): Service => ({
  name,
  image: 'a/b:1',
  ...(stopGracePeriod !== undefined && { stopGracePeriod }),
  dependsOn: needs.map((need) => ({ service: need })),
});

test('deriveFenceTimes() law: by two clocks that differ by up to 0.5 % each, all is killed 2 s or more before the server moves', () => {
  const rate = fc.double({ min: -0.005, max: 0.005, noNaN: true });
  fc.assert(
    fc.property(
      fc.record({
        timeoutMs: fc.integer({ min: 2000, max: 86_400_000 }),
        afterMs: fc.integer({ min: 1000, max: 86_400_000 }),
        graceMs: fc.nat(600_000),
        travelMs: fc.nat(60_000),
        agentRate: rate,
        serverRate: rate,
      }),
      ({ timeoutMs, afterMs, graceMs, travelMs, agentRate, serverRate }) => {
        const { stopAtMs, killAtMs } = deriveFenceTimes({ sentAtMs: 0, timeoutMs }, { afterMs, graceMs });
        const killedAtMs = killAtMs / (1 + agentRate); // true time since the heartbeat was sent
        const movedAtMs = travelMs + (timeoutMs + afterMs) / (1 + serverRate);
        assert.ok(killedAtMs + 2900 <= movedAtMs, `${killedAtMs} ${movedAtMs}`); // the time that a kill may take
        assert.equal(killAtMs - stopAtMs, graceMs + 2000);
      },
    ),
  );
});

test('leastAfterMs() law: with it the stop begins no sooner than a node would be called silent, but for the drift of the timeout', () => {
  fc.assert(
    fc.property(fc.nat(3_600_000), fc.integer({ min: 2000, max: 3_600_000 }), (graceMs, timeoutMs) => {
      const { stopAtMs } = deriveFenceTimes({ sentAtMs: 0, timeoutMs }, { afterMs: leastAfterMs(graceMs), graceMs });
      assert.ok(stopAtMs >= timeoutMs * 0.99 - 1, `${stopAtMs} of ${timeoutMs}`);
    }),
  );
  assert.equal(leastAfterMs(10_000), 17_000);
});

test('deriveGraceMs() adds up graces along dependencies, as whole seconds, with 10 s by default', () => {
  assert.equal(deriveGraceMs([service('a'), service('b', '1s500ms')]), 10_000);
  assert.equal(deriveGraceMs([service('db', '5s'), service('web', '2s500ms', 'db'), service('job', '1s', 'db')]), 8000);
  assert.equal(deriveGraceMs([service('a', '1s', 'b'), service('b', '1s', 'a')]), 2000, 'a circle ends');
});

test('deriveFenceTerms() is undefined unless the Project would move', () => {
  const terms = (spec: Partial<ProjectSpec>) => deriveFenceTerms(projectOf('shop', { spec }).spec);
  assert.deepEqual(terms({ onNodeLost: { fence: true } }), { afterMs: 180_000, graceMs: 10_000 });
  assert.equal(terms({ onNodeLost: { action: 'Reschedule' } }), undefined);
  assert.equal(terms({ onNodeLost: { fence: true }, volumes: [{ name: 'data', type: 'Managed' }] }), undefined);
});

test('checkProjectSpec() refuses a fence that leaves no time to stop, and one that would never move', () => {
  const mistakes = (spec: Partial<ProjectSpec>) => checkProjectSpec(projectOf('shop', { spec }).spec);
  assert.deepEqual(mistakes({ onNodeLost: { action: 'Reschedule', after: '17s', fence: true } }), []);
  const [short] = mistakes({ onNodeLost: { action: 'Reschedule', after: '10s', fence: true } });
  assert.equal(short?.pointer, '/spec/onNodeLost/after');
  assert.match(short?.detail ?? '', /^must be at least 17s with fence, 10s of it for .*: current value is 10s$/u);
  const slow = [service('web', '4m')];
  assert.match(
    mistakes({ services: slow, onNodeLost: { fence: true } })[0]?.detail ?? '',
    /at least 4m8s .*current value is 3m by default$/u,
  );
  assert.deepEqual(
    mistakes({ onNodeLost: { action: 'Keep', fence: true } }).map(({ pointer }) => pointer),
    ['/spec/onNodeLost/fence'],
  );
  assert.match(
    mistakes({ onNodeLost: { fence: true }, volumes: [{ name: 'd', type: 'Managed' }] })[0]?.detail ?? '',
    /add action: Reschedule/u,
  );
});
