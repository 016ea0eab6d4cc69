/** A static busybox for images that are built without a registry. */
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { findProgram } from './engine-install.ts';
import { run } from './run.ts';

const PT_INTERP = 3;

/**
 * Finds or fetches a static busybox for Linux.
 * @param cacheDir kept between runs; made if missing
 * @returns its path; undefined where this system has none to offer (then an image needs `FROM busybox:1`)
 */
export async function findBusybox(cacheDir: string): Promise<string | undefined> {
  const cached = path.join(cacheDir, 'busybox');
  const found = [cached, '/bin/busybox', '/usr/bin/busybox'].find((file) => existsSync(file) && isStaticElf(readFileSync(file)));
  if (found !== undefined) {
    return found;
  }
  return findProgram('apt-get') !== undefined && findProgram('dpkg-deb') !== undefined ? await download(cacheDir, cached) : undefined;
}

async function download(cacheDir: string, target: string): Promise<string | undefined> {
  const work = path.join(cacheDir, `download-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    if (!(await aptDownload(work)) && process.getuid?.() === 0) {
      await run('apt-get', ['-q', 'update'], { timeoutMs: 300_000 }); // a machine that has no list of packages yet
      await aptDownload(work);
    }
    const [deb] = globSync(path.join(work, '*.deb'));
    if (deb === undefined || (await run('dpkg-deb', ['-x', deb, work], { timeoutMs: 60_000 })).code !== 0) {
      return undefined;
    }
    const [binary] = globSync([path.join(work, 'bin/busybox'), path.join(work, 'usr/bin/busybox')]);
    if (binary === undefined || !isStaticElf(readFileSync(binary))) {
      return undefined;
    }
    renameSync(binary, target);
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function aptDownload(cwd: string): Promise<boolean> {
  // not as user _apt, which may not write here: the warning would be all it changes
  const { code } = await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', 'busybox-static'], { cwd, timeoutMs: 120_000 });
  return code === 0;
}

/**
 * True for a Linux program that needs no dynamic loader: no program header of type PT_INTERP.
 * @param file its content, from the beginning
 */
export function isStaticElf(file: Uint8Array): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isElf = file.byteLength > 64 && view.getUint32(0) === 0x7f_45_4c_46;
  if (!isElf) {
    return false;
  }
  const is64 = view.getUint8(4) === 2;
  const isLittle = view.getUint8(5) === 1;
  const start = is64 ? Number(view.getBigUint64(32, isLittle)) : view.getUint32(28, isLittle);
  const size = view.getUint16(is64 ? 54 : 42, isLittle);
  const count = view.getUint16(is64 ? 56 : 44, isLittle);
  const types = Array.from({ length: count }, (_, index) => start + index * size)
    .filter((offset) => offset + 4 <= file.byteLength)
    .map((offset) => view.getUint32(offset, isLittle));
  return types.length > 0 && !types.includes(PT_INTERP);
}
