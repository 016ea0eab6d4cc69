import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProject } from '../../../test/support/projects.ts';
import { describeProject } from './describe-project.ts';

const SCREEN = { hasColor: false };

test('describeProject() gives the reason a line of its own, and not again in the message', () => {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1' }] });
  const failed = {
    ...project,
    status: { ...project.status, phase: 'Failed', reason: 'PortInUse', message: 'web: port 80 is taken' } as const,
  };
  const lines = describeProject(failed, { screen: SCREEN, nowMs: 0 }).split('\n');
  assert.ok(
    lines.some((line) => /^Reason: +PortInUse$/u.test(line)),
    lines.join('\n'),
  );
  assert.ok(
    lines.some((line) => /^Message: +web: port 80 is taken$/u.test(line)),
    lines.join('\n'),
  );
});

test('describeProject() shows a move that is under way, and none otherwise', () => {
  const project = makeProject({ services: [{ name: 'web', image: 'web:1' }] });
  const move = { from: 'worker-01', to: 'worker-02', requestedAt: '2026-01-01T00:00:00.000Z' };
  const show = (status: object): string =>
    describeProject({ ...project, status: { ...project.status, ...status } }, { screen: SCREEN, nowMs: Date.UTC(2026, 0, 1, 0, 0, 5) });
  assert.match(show({ move }), /^Moving: +from worker-01 to worker-02, asked for at 2026-01-01T00:00:00\.000Z \(5s ago\)$/mu);
  assert.match(show({ move: { ...move, to: undefined } }), /^Moving: +from worker-01 to another node, /mu);
  assert.doesNotMatch(show({}), /Moving/u);
});
