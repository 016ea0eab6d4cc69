/**
 * `caractrl logs -f` as a process, with --timestamps, reading a service that writes "RUN NUMBER" lines, and what came of it.
 *
 * Owns     the process and a folder for its output.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../../../scripts/lib/wait.ts';
import { makeScratch } from '../scratch.ts';

const CTL = path.join(import.meta.dirname, '../../../bin/caractrl');
const WAIT_MS = 60_000;
const QUIET_MS = 500;

export interface Follower extends AsyncDisposable {
  /** what came on stderr */
  notes(): string;
  /** Waits for so many more lines. */
  more(count: number): Promise<void>;
  /** Waits for lines of a run that was not seen before. */
  nextRun(): Promise<void>;
  /** Waits until nothing comes any more. */
  quiet(): Promise<void>;
  /** @throws where a run does not begin at 0 (unless the reading began somewhere in it), or a line is missing or there twice */
  check(options?: { readonly from?: 'anywhere' }): void;
}

export async function startFollower(args: readonly string[], { server }: { readonly server: string }): Promise<Follower> {
  const scratch = makeScratch();
  const files = { stdout: path.join(scratch.path, 'stdout'), stderr: path.join(scratch.path, 'stderr') };
  const descriptors = [openSync(files.stdout, 'a'), openSync(files.stderr, 'a')] as const;
  const child = spawn(CTL, [...args, '--timestamps'], { env: { ...process.env, CARA_SERVER: server }, stdio: ['ignore', ...descriptors] });
  descriptors.forEach((descriptor) => closeSync(descriptor));
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  const lines = (): readonly string[] => readFileSync(files.stdout, 'utf8').split('\n').slice(0, -1);
  const notes = (): string => readFileSync(files.stderr, 'utf8');
  const runs = (): ReadonlySet<string> => new Set(lines().map((line) => line.split(' ')[1] ?? ''));
  const wait = async (what: string, probe: () => boolean): Promise<void> => {
    await until(() => probe() || (child.exitCode !== null && assert.fail(`caractrl ended: ${notes()}`)), {
      what,
      timeoutMs: WAIT_MS,
    }).catch((error: unknown) => assert.fail(`${String(error)}: ${notes()}`));
  };
  let seenRuns = 1;
  return {
    notes,
    more: async (count) => {
      const least = lines().length + count;
      await wait(`${count} more lines`, () => lines().length >= least);
    },
    nextRun: async () => {
      await wait('another run', () => runs().size > seenRuns);
      seenRuns = runs().size;
    },
    quiet: async () => {
      let before = -1;
      await until(() => before === lines().length || void (before = lines().length), {
        what: 'quiet',
        timeoutMs: WAIT_MS,
        intervalMs: QUIET_MS,
      });
    },
    check: (options) => {
      const next = new Map<string, number>();
      for (const [index, line] of lines().entries()) {
        const [, run = '', number = ''] = line.split(' ');
        const expected = next.get(run) ?? (options?.from === 'anywhere' && next.size === 0 ? Number(number) : 0);
        const context = lines().slice(Math.max(0, index - 3), index + 3);
        assert.equal(Number(number), expected, `of run ${run}, in\n${context.join('\n')}\n${notes()}`);
        next.set(run, expected + 1);
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await exited;
      scratch[Symbol.dispose]();
    },
  };
}
