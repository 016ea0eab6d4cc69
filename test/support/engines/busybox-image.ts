/** Puts a small image of busybox onto a real engine, without a registry. */
import { execFile } from 'node:child_process';
import { access, copyFile, chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = join(tmpdir(), 'cara-test-busybox');

/** Imports `/bin/busybox` as an image named `reference`. @param host a `unix://` address */
export async function importBusyboxImage(host: string, reference: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'busybox-image-'));
  try {
    await mkdir(join(folder, 'bin'));
    await copyFile(await findBusybox(), join(folder, 'bin', 'busybox'));
    await chmod(join(folder, 'bin', 'busybox'), 0o755);
    const { stdout } = await run('tar', ['-C', folder, '-cf', '-', 'bin'], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 });
    await importTar(host, reference, stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A static busybox: the one named by the environment, or the distribution's package. */
async function findBusybox(): Promise<string> {
  const named = process.env['CARA_TEST_BUSYBOX'];
  if (named !== undefined && named !== '') {
    return named;
  }
  const cached = join(CACHE, 'bin', 'busybox');
  if (
    await access(cached).then(
      () => false,
      () => true,
    )
  ) {
    await mkdir(CACHE, { recursive: true });
    await run('apt-get', ['download', '-q', 'busybox-static'], { cwd: CACHE });
    const archive = (await readdir(CACHE)).find((name) => name.endsWith('.deb')) ?? '';
    await run('dpkg-deb', ['-x', archive, CACHE], { cwd: CACHE });
  }
  return cached;
}

async function importTar(host: string, reference: string, tar: Buffer): Promise<void> {
  const [repo = '', tag = ''] = reference.split(':');
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const query = new URLSearchParams({ fromSrc: '-', repo, tag });
  const headers = { 'content-type': 'application/x-tar', 'content-length': tar.length };
  const request = http.request({
    socketPath: host.slice('unix://'.length),
    method: 'POST',
    path: `/images/create?${query.toString()}`,
    headers,
    agent: false,
  });
  request.on('response', resolve).on('error', reject).end(tar);
  const response = await promise;
  const text = (await response.toArray()).join('');
  if (response.statusCode !== 200 || text.includes('"error"')) {
    throw new Error(`Cannot import the test image: ${text}`);
  }
}
