/** Capacity inside a real control group: what it allows, not what the machine has. Skipped where none can be made. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/lib/run.ts';

const ROOT = '/sys/fs/cgroup';
const MEBIBYTE = 2 ** 20;
const SCRIPT = `import { createHostProbe } from ${JSON.stringify(path.join(import.meta.dirname, '../../src/agent/host/host-probe.ts'))};
process.stdout.write(JSON.stringify(await createHostProbe().measure(undefined)));`;

interface Group extends Disposable {
  /** the files that a process enters the group by */
  readonly procs: readonly string[];
}

/** A group of half a CPU and 300 MiB below the one that the test runs in; undefined where there are no control groups, or none for us. */
function makeGroup(): Group | undefined {
  const own = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const name = `cara-test-${process.pid}`;
  const folders: string[] = [];
  const make = (controller: string, files: Readonly<Record<string, string>>): void => {
    const group = own.find(([, names]) => names?.split(',').includes(controller))?.[2] ?? '/';
    const folder = path.join(ROOT, controller, group, name);
    mkdirSync(folder);
    folders.push(folder);
    Object.entries(files).forEach(([file, value]) => writeFileSync(path.join(folder, file), value));
  };
  const remove = (): void => folders.forEach((folder) => rmdirSync(folder));
  try {
    if (own.some(([, names]) => names?.split(',').includes('memory'))) {
      make('cpu', { 'cpu.cfs_quota_us': '50000', 'cpu.cfs_period_us': '100000' });
      make('memory', { 'memory.limit_in_bytes': String(300 * MEBIBYTE) });
    } else {
      make('', { 'cpu.max': '50000 100000', 'memory.max': String(300 * MEBIBYTE) });
    }
  } catch {
    remove();
    return undefined;
  }
  return { procs: folders.map((folder) => path.join(folder, 'cgroup.procs')), [Symbol.dispose]: remove };
}

test('an agent in a control group of half a CPU and 300 MiB measures these', async (context) => {
  using group = makeGroup();
  if (group === undefined) {
    context.skip('no control group can be made here');
    return;
  }
  const enter = group.procs.map((file) => `echo $$ > ${file}`).join(' && ');
  const { code, stdout, stderr } = await run(
    '/bin/sh',
    ['-c', `${enter} && exec "$0" --input-type=module-typescript -e "$1"`, process.execPath, SCRIPT],
    {
      timeoutMs: 60_000,
    },
  );
  assert.equal(code, 0, stderr);
  const measured = JSON.parse(stdout) as {
    readonly cpuMillis: number;
    readonly memoryBytes: number;
    readonly memoryAvailableBytes: number;
  };
  assert.equal(measured.cpuMillis, 500);
  assert.equal(measured.memoryBytes, Math.min(300 * MEBIBYTE, os.totalmem()));
  const usedBytes = measured.memoryBytes - measured.memoryAvailableBytes;
  assert.ok(usedBytes > 10 * MEBIBYTE && usedBytes < 200 * MEBIBYTE, `${usedBytes} bytes in use, by a process that has just started`);
});
