import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProjectOptions, boundOf, nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import { findCondition } from '../../api/condition.ts';
import { deriveExpiry } from '../../api/project/expiry.ts';
import type { ProjectObject } from '../../api/project.ts';
import { type Sighting, type Verdict, judgeProject } from './project-verdict.ts';
import { markLost, markUnreachable, settle, terminate } from './project-status.ts';

const START_MS = Date.UTC(2026, 0, 1);
const NOW = new Date(START_MS).toISOString();
const LOST = { lostForMs: 0, missingForMs: undefined, wasSilent: true };

function judge(project: ProjectObject, sighting: Partial<Sighting> = {}): Verdict {
  return judgeProject({
    project,
    node: nodeOf('n1'),
    loss: undefined,
    inTransitionForMs: 0,
    fenceLeftMs: 0,
    hasRefuge: () => true,
    sumOlder: () => ({ cpuMillis: 0, memoryBytes: 0, diskBytes: 0 }),
    nowMs: START_MS,
    timeouts: { nodeHeartbeatTimeoutMs: 90_000, terminationTimeoutMs: 600_000 },
    ...sighting,
  });
}

function kept(verdict: Verdict): ProjectObject {
  return verdict.kind === 'keep' ? verdict.project : assert.fail('dropped');
}

function settled(name: string, options: ProjectOptions = {}): ProjectObject {
  const project = boundOf(name, 'n1', options);
  return { ...project, status: settle(project.status, project.metadata.generation, NOW) };
}

test('judgeProject() changes nothing where nothing is amiss', () => {
  const project = settled('shop');
  assert.deepEqual(judge(project), { kind: 'keep', project, lookAgainMs: Infinity });
  assert.equal(kept(judge(project)), project);
  const pending = projectOf('waiting');
  assert.equal(kept(judge(pending, { node: undefined })), pending);
});

test('judgeProject() expires a Project by expireAt or ttl, not before', () => {
  for (const spec of [{ ttl: '2h' }, { expireAt: '2026-01-01T03:00:00+01:00' }]) {
    const project = settled('shop', { spec });
    const expiryMs = START_MS + 7_200_000;
    assert.equal(deriveExpiry(project)?.atMs, expiryMs);
    const before = judge(project, { nowMs: expiryMs - 1 });
    assert.equal(kept(before).status.phase, 'Running');
    assert.equal(before.kind === 'keep' && before.lookAgainMs, 1);
    const after = kept(judge(project, { nowMs: expiryMs }));
    assert.equal(after.status.phase, 'Terminating');
    assert.equal(after.status.reason, 'Expired');
    assert.equal(after.metadata.deletedAt, '2026-01-01T02:00:00.000Z');
  }
  assert.equal(deriveExpiry(settled('shop')), undefined);
});

test('judgeProject() warns at 80 % of the lifetime, at once, and no more when the end is put off', () => {
  const project = settled('shop', { spec: { ttl: '100s' } });
  const early = judge(project, { nowMs: START_MS + 79_000 });
  assert.equal(kept(early), project);
  assert.equal(early.kind === 'keep' && early.lookAgainMs, 1000);
  const warned = kept(judge(project, { nowMs: START_MS + 80_000 }));
  const expiring = findCondition(warned.status.conditions, 'Expiring');
  assert.equal(expiring?.status, 'True');
  assert.equal(expiring?.message, 'Its time is up at 2026-01-01T00:01:40.000Z; to give it more: caractrl extend shop DURATION');
  assert.equal(kept(judge(warned, { nowMs: START_MS + 90_000 })), warned, 'and is written once');
  const extended = { ...warned, spec: { ...warned.spec, ttl: '200s' } };
  assert.equal(findCondition(kept(judge(extended, { nowMs: START_MS + 90_000 })).status.conditions, 'Expiring'), undefined);
  const ended = kept(judge(warned, { nowMs: START_MS + 100_000 }));
  assert.equal(findCondition(ended.status.conditions, 'Expiring'), undefined);
});

test('judgeProject() looks at a far expiry now and then, as the wall clock may jump', () => {
  const verdict = judge(settled('shop', { spec: { ttl: '1000h' } }));
  assert.equal(verdict.kind === 'keep' && verdict.lookAgainMs, 60_000);
});

test('judgeProject() drops a Terminating Project that has no node at once', () => {
  const ending = terminate(projectOf('shop'), { reason: 'Expired', message: '' }, NOW);
  assert.deepEqual(judge(ending, { node: undefined }), { kind: 'drop', because: 'Unbound' });
});

test('judgeProject() waits for the agent of a Terminating Project for ever, for a lost node until the timeout', () => {
  const ending = terminate(settled('shop'), { reason: 'Deleted', message: '' }, NOW);
  assert.equal(judge(ending, { inTransitionForMs: 1e9 }).kind, 'keep');
  const at = (lostForMs: number, inTransitionForMs: number): Verdict =>
    judge(ending, { inTransitionForMs, loss: { ...LOST, lostForMs }, node: nodeOf('n1', { state: 'NotReady', isSilent: true }) });
  assert.equal(at(599_999, 1e9).kind, 'keep');
  assert.equal(at(1e9, 599_999).kind, 'keep');
  assert.deepEqual(at(600_000, 600_000), { kind: 'drop', because: 'NodeLost' });
  const waiting = at(100_000, 200_000);
  assert.equal(waiting.kind === 'keep' && waiting.lookAgainMs, 500_000);
  assert.equal(findCondition(kept(waiting).status.conditions, 'NodeReachable')?.status, 'False');
  assert.equal(judge(ending, { node: undefined, loss: { ...LOST, lostForMs: 1e9 }, inTransitionForMs: 1e9 }).kind, 'drop');
});

test('judgeProject() takes NodeReachable away when the node is back, and lets a lost Project wait for its report', () => {
  const running = settled('shop');
  const unreachable = { ...running, status: markUnreachable(running, { reason: 'NodeNotReady', message: '' }, NOW) };
  const back = kept(judge(unreachable)).status;
  assert.equal(back.phase, 'Running');
  assert.equal(findCondition(back.conditions, 'NodeReachable'), undefined);
  assert.equal(findCondition(back.conditions, 'Ready')?.status, 'True');
  const lost = kept(judge({ ...unreachable, status: markLost(unreachable, 'lost', NOW) })).status;
  assert.equal(lost.phase, 'Scheduled');
  assert.equal(lost.reason, 'NodeReturned');
});

test('judgeProject() says when a Project could not be placed where it is, and leaves it there', () => {
  const picky = settled('shop', { spec: { nodeSelector: { gpu: 'yes' } } });
  const misfit = kept(judge(picky)).status;
  assert.equal(misfit.phase, 'Running');
  assert.equal(misfit.nodeRef, 'n1');
  assert.equal(findCondition(misfit.conditions, 'FitsNode')?.reason, 'SelectorMismatch');
  const fitting = kept(judge({ ...picky, status: misfit }, { node: nodeOf('n1', { labels: { gpu: 'yes' } }) })).status;
  assert.equal(findCondition(fitting.conditions, 'FitsNode'), undefined);
  const big = kept(judge(settled('big', { requests: { memory: '9Gi' } }))).status;
  assert.match(
    findCondition(big.conditions, 'FitsNode')?.message ?? '',
    /memory of the node does not suffice \(9Gi asked, 8Gi allocatable\)/u,
  );
});
