import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerHealth, ContainerState } from '../docker/docker-types.ts';
import { judgeHealth } from './verdict.ts';

function stateWith(health: ContainerHealth | undefined): { readonly state: ContainerState } {
  const times = { startedAt: '2026-01-01T00:00:00Z', finishedAt: undefined };
  return { state: { status: 'running', isRunning: true, exitCode: 0, isOomKilled: false, error: '', ...times, health } };
}

const probe = (exitCode: number, output: string) => ({ startedAt: '', finishedAt: '', exitCode, output });

test('judgeHealth() calls a container without a check unchecked', () => {
  assert.deepEqual(judgeHealth(stateWith(undefined)), { kind: 'unchecked', lastResult: undefined });
});

test('judgeHealth() tells the newest result, trimmed and cut', () => {
  const log = [probe(0, 'fine'), probe(1, `\n${'x'.repeat(1000)}\n`)];
  const verdict = judgeHealth(stateWith({ status: 'unhealthy', failingStreak: 1, log }));
  assert.deepEqual(verdict, { kind: 'unhealthy', lastResult: `code 1: ${'x'.repeat(300)}` });
});

test('judgeHealth() leaves out what the check did not say', () => {
  assert.equal(judgeHealth(stateWith({ status: 'healthy', failingStreak: 0, log: [probe(0, ' ')] })).lastResult, 'code 0');
  assert.equal(judgeHealth(stateWith({ status: 'starting', failingStreak: 0, log: [] })).lastResult, undefined);
});
