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
