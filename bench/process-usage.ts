/** What a process has used so far, of Linux' /proc. */
import { readFileSync } from 'node:fs';

const TICK_MS = 10; // Linux' USER_HZ is 100 everywhere

/** CPU time of all threads. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS; // utime and stime
}

export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** What it made the kernel write to disks. */
export function writtenBytes(pid: number): number {
  return Number(/^write_bytes: (\d+)/mu.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}
