/** Network namespaces by name, as `ip netns` keeps them: a host of its own on this machine. */
import { existsSync } from 'node:fs';
import { listProcesses, stopProcesses } from './process.ts';
import { run, runOrThrow } from './run.ts';

/** Makes a namespace with nothing but its loopback up. */
export async function addNetns(netns: string): Promise<void> {
  await runOrThrow('ip', ['netns', 'add', netns], { timeoutMs: 10_000 });
  await runOrThrow('ip', ['-n', netns, 'link', 'set', 'lo', 'up'], { timeoutMs: 10_000 });
}

/** The words before a command that run it in the namespace; nsenter execs it, and leaves the mounts as they are. */
export function inNetns(netns: string | undefined): readonly string[] {
  return netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`];
}

/** Ends every process in a network namespace and removes it. No-op where there is none of that name. */
export async function removeNetns(netns: string): Promise<void> {
  if (!existsSync(`/run/netns/${netns}`)) {
    return;
  }
  const { stdout } = await run('ip', ['netns', 'pids', netns], { timeoutMs: 10_000 });
  const pids = new Set(stdout.split('\n').filter(Boolean).map(Number));
  await stopProcesses(
    listProcesses((pid) => pids.has(pid)),
    0,
  );
  await runOrThrow('ip', ['netns', 'delete', netns], { timeoutMs: 10_000 });
}
