/** Mounts below a folder, as an engine that was killed leaves them. */
import { readFileSync } from 'node:fs';
import { run } from './run.ts';

/**
 * Mount points at or below `dir`, deepest first.
 * @param mountinfo content of /proc/self/mountinfo (proc(5): field 5 is the mount point, with blanks written \040)
 */
export function mountPointsBelow(mountinfo: string, dir: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/gu, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((point) => point === dir || point.startsWith(`${dir}/`))
    .toReversed(); // the kernel lists a mount after the one it stands on
}

export async function unmountBelow(dir: string): Promise<void> {
  for (const point of mountPointsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), dir)) {
    await run('umount', ['--lazy', point], { timeoutMs: 10_000 });
  }
}
