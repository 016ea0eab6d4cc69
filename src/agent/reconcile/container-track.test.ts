import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerDetail, ContainerStatus } from '../docker/docker-types.ts';
import { isCrashLooping, stableAtMs, trackContainer, type ContainerTrack } from './container-track.ts';

function look(status: ContainerStatus, restartCount: number, startedAt = 'first'): ContainerDetail {
  const isRunning = status === 'running';
  const state = {
    status,
    isRunning,
    exitCode: isRunning ? 0 : 7,
    isOomKilled: false,
    error: '',
    startedAt,
    finishedAt: undefined,
    health: undefined,
  };
  const names = { id: 'c', name: 'c', createdAt: '', image: 'i', imageId: 'i' };
  return { ...names, labels: {}, state, restartCount, ports: [], mounts: [], networks: {}, hasTty: false };
}

function trackAll(looks: readonly (readonly [number, ContainerDetail])[]): ContainerTrack | undefined {
  return looks.reduce<ContainerTrack | undefined>((track, [atMs, detail]) => trackContainer(track, detail, { nowMs: atMs }), undefined);
}

test('trackContainer() counts restarts in a row until the container has been up for 10 s', () => {
  const crashed = trackAll([
    [0, look('running', 0)],
    [500, look('restarting', 2)],
    [900, look('running', 3, 'second')],
  ]);
  assert.equal(crashed?.restartsInRow, 3);
  assert.equal(isCrashLooping(crashed), true);
  assert.equal(stableAtMs(crashed, 900), 10_900);
  assert.equal(crashed?.lastEnd?.exitCode, 7, 'the engine forgets it, we do not');
  const stable = trackContainer(crashed, look('running', 3, 'second'), { nowMs: 10_900 });
  assert.equal(isCrashLooping(stable), false);
});

test('trackContainer() begins to count anew at a crash after a stable run that nobody looked at', () => {
  const track = trackAll([
    [0, look('running', 0)],
    [500, look('running', 2, 'second')],
    [3_600_000, look('running', 3, 'third')],
  ]);
  assert.equal(track?.restartsInRow, 1);
});

test('trackContainer() takes a long life of restarts for no loop when it first sees a container run', () => {
  assert.equal(isCrashLooping(trackAll([[0, look('running', 40)]])), false);
  assert.equal(isCrashLooping(trackAll([[0, look('restarting', 40)]])), true);
});

test('trackContainer() survives a count that someone set back by a start of his own', () => {
  const track = trackAll([
    [0, look('restarting', 2)],
    [100, look('running', 0, 'second')],
  ]);
  assert.equal(track?.restartsInRow, 2);
});

test('trackContainer() counts each restart once, whoever makes it and however often it is looked at', () => {
  const track = trackAll([
    [0, look('running', 0)],
    [100, look('restarting', 1)],
    [200, look('running', 1, 'second')],
    [300, look('restarting', 2, 'second')],
    [400, look('restarting', 3, 'third')],
    [500, look('running', 3, 'fourth')],
    [600, look('exited', 3, 'fourth')],
    [700, look('running', 0, 'fifth')], // by hand
    [800, look('running', 2, 'seventh')],
  ]);
  assert.equal(track?.restarts, 6);
});

test('trackContainer() tells when the run that ended began, and nothing where it was not seen', () => {
  const at = (status: ContainerStatus, restartCount: number, startedAt: string, finishedAt?: string): ContainerDetail => {
    const detail = look(status, restartCount, startedAt);
    return { ...detail, state: { ...detail.state, finishedAt } };
  };
  const running = at('running', 0, 's1');
  const down = at('restarting', 1, 's1', 'f1');
  const startOf = (...looks: readonly ContainerDetail[]) => trackAll(looks.map((each, index) => [index * 100, each]))?.lastExit?.startedAt;
  assert.equal(startOf(running, at('running', 1, 's2', 'f1')), 's1');
  assert.equal(startOf(running, down), 's1');
  assert.equal(startOf(down, at('restarting', 2, 's2', 'f2')), 's2', 'a whole run between two looks');
  assert.equal(startOf(down, at('running', 2, 's3', 'f2')), undefined, 'the run from s2 to f2 was not seen');
  assert.equal(startOf(running, at('running', 3, 's4', 'f3')), undefined, 'others came between');
});
