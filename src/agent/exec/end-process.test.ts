import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { EngineError } from '../docker/engine-error.ts';
import { endFormer, endLeftover, endProcess } from './end-process.ts';

const CONTAINER = 'c0ffee'.repeat(10);
const FOREVER = new AbortController().signal;

interface FakeProcess {
  readonly session: number;
  readonly container?: string;
}

/** A /proc of its own, and what was signalled in it. */
function makeProc(processes: Readonly<Record<number, FakeProcess>>) {
  const scratch = makeScratch();
  for (const [pid, { session, container = CONTAINER }] of Object.entries(processes)) {
    const folder = path.join(scratch.path, pid);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'stat'), `${pid} (a (b) c) S 1 ${session} ${session} 0 -1`);
    writeFileSync(path.join(folder, 'cgroup'), `0::/system.slice/docker-${container}.scope\n`);
  }
  const signals: string[] = [];
  const slept: number[] = [];
  const clock = { monotonicMs: () => 0, wallMs: () => 0, sleep: async (ms: number) => void slept.push(ms) };
  const kill = (pid: number, signal: string): void => {
    if (pid === 13) {
      throw new Error('EPERM');
    }
    signals.push(`${signal} ${pid}`);
  };
  return { ports: { clock, procDir: scratch.path, kill }, signals, slept, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

describe('endProcess()', () => {
  it('endProcess() asks all processes of the session, waits, and kills them', async () => {
    using proc = makeProc({ 10: { session: 10 }, 11: { session: 10 }, 12: { session: 12 }, 13: { session: 10 } });
    assert.equal(await endProcess(proc.ports, { containerId: CONTAINER, pid: 10, hasTty: false }, FOREVER), true);
    assert.deepEqual(proc.signals.toSorted(), ['SIGKILL 10', 'SIGKILL 11', 'SIGTERM 10', 'SIGTERM 11']);
    assert.deepEqual(proc.slept, [5000]);
  });

  it('endProcess() hangs up on what has a terminal', async () => {
    using proc = makeProc({ 10: { session: 10 } });
    await endProcess(proc.ports, { containerId: CONTAINER, pid: 10, hasTty: true }, FOREVER);
    assert.equal(proc.signals[0], 'SIGHUP 10');
  });

  it('endProcess() touches nothing outside the container, whatever its number', async () => {
    using proc = makeProc({ 10: { session: 10, container: 'f00d'.repeat(16) }, 11: { session: 10, container: '' } });
    assert.equal(await endProcess(proc.ports, { containerId: CONTAINER, pid: 10, hasTty: false }, FOREVER), false);
    assert.equal(
      await endProcess({ ...proc.ports, procDir: '/nonexistent' }, { containerId: CONTAINER, pid: 1, hasTty: false }, FOREVER),
      false,
    );
    assert.deepEqual(proc.signals, []);
  });

  it('endLeftover() asks the engine first whether it still runs', async () => {
    using proc = makeProc({ 10: { session: 10 } });
    const left = { execId: 'e', containerId: CONTAINER, hasTty: false };
    const leave = async (state: object | undefined | Error): Promise<void> => {
      const inspectExec = async () => {
        if (state instanceof Error) {
          throw state;
        }
        return state as never;
      };
      const clock = { ...proc.ports.clock, sleep: async () => await new Promise<void>((resolve) => setImmediate(resolve)) };
      await endLeftover({ ...proc.ports, clock, engine: { inspectExec } }, left, FOREVER);
    };
    await leave(undefined);
    await leave(new Error('the engine is away'));
    await leave({ isRunning: false, exitCode: 0, pid: 10 });
    assert.deepEqual(proc.signals, []);
    await leave({ isRunning: true, exitCode: undefined, pid: 10 });
    assert.deepEqual(proc.signals, ['SIGTERM 10', 'SIGKILL 10']);
  });

  it('endFormer() waits until the engine tells, and ends nothing that it does not know any more', async () => {
    using proc = makeProc({ 10: { session: 10 } });
    const left = { execId: 'e', containerId: CONTAINER, hasTty: false };
    let answers: (object | undefined | Error)[] = [];
    const inspectExec = async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) {
        throw answer;
      }
      return answer as never;
    };
    const ports = { ...proc.ports, engine: { inspectExec } };
    answers = [new EngineError('EngineUnreachable', 'Cannot reach the engine'), undefined];
    await endFormer(ports, left, FOREVER);
    assert.deepEqual([proc.signals, proc.slept[0]], [[], 5000]);
    answers = [{ isRunning: true, exitCode: undefined, pid: 10 }];
    await endFormer(
      { ...ports, clock: { ...proc.ports.clock, sleep: async () => await new Promise<void>((resolve) => setImmediate(resolve)) } },
      left,
      FOREVER,
    );
    assert.deepEqual(proc.signals, ['SIGTERM 10', 'SIGKILL 10']);
  });
});
