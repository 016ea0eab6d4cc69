import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { systemRandom } from '../../base/random.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { readAuthority, writeAuthority, type Authority } from './authority-file.ts';
import { issue } from './issue.ts';
import type { TlsMaterial } from './material.ts';
import { makeAuthority, prepareOwn } from './own-certificates.ts';

const DAY_MS = 86_400_000;
const NAMES = ['127.0.0.1', '::1', 'cara.example', 'localhost'];

/** What a server of this material shows to somebody who knows `ca`. @throws what TLS does */
async function connect(material: TlsMaterial, ca: string): Promise<string> {
  const server = tls.createServer({ key: material.key, cert: material.chain });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const socket = tls.connect({ port, host: '127.0.0.1', ca });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate()?.serialNumber ?? '';
  } finally {
    socket.destroy();
    server.close();
  }
}

describe('prepareOwn()', () => {
  it('keeps what it made, and renews it a month before its end, for another name, and after a year without a start', async () => {
    using scratch = makeScratch();
    const folder = path.join(scratch.path, 'tls');
    let issued = 0;
    const deps = {
      folder,
      random: systemRandom,
      issue: (task: Parameters<typeof issue>[0]) => {
        issued += 1;
        return issue(task);
      },
    };
    const startMs = Date.now();
    const prepare = (afterDays: number, names: readonly string[] = NAMES) =>
      prepareOwn({ names, nowMs: startMs + afterDays * DAY_MS }, deps);
    const first = await prepare(0);
    const again = await prepare(59);
    assert.deepEqual([again.chain, issued], [first.chain, 2]);
    const renewed = await prepare(61);
    assert.notEqual(renewed.chain, first.chain);
    assert.deepEqual([renewed.roots, renewed.fingerprint], [first.roots, first.fingerprint], 'the authority stays');
    assert.equal((await prepare(61, NAMES.slice(1))).chain, renewed.chain, 'a name less is no reason');
    const moved = await prepare(61, [...NAMES, '192.168.7.7']);
    assert.ok(moved.names.includes('192.168.7.7'));
    const late = await prepare(500);
    assert.equal(late.expiresAtMs > startMs + 500 * DAY_MS, true);
    assert.equal(late.fingerprint, first.fingerprint);
    assert.equal(issued, 5);
  });

  it('makes certificates that TLS takes, also by a clock that is a year behind', async () => {
    using scratch = makeScratch();
    const material = await prepareOwn({ names: NAMES, nowMs: Date.now() }, { folder: scratch.path, random: systemRandom, issue });
    assert.match(await connect(material, material.roots.join('')), /^[0-9A-F]+$/u);
    const [own = ''] = material.chain.split(/(?<=-----END CERTIFICATE-----\n)/u);
    const certificate = new X509Certificate(own);
    assert.ok(certificate.validFromDate.getTime() < Date.now() - 365 * DAY_MS);
    assert.equal(certificate.ca, false);
    assert.ok(
      certificate.validToDate.getTime() - certificate.validFromDate.getTime() < 825 * DAY_MS,
      "Apple's systems take no longer ones",
    );
    assert.ok(new X509Certificate(material.roots[0] ?? '').ca);
  });

  it('mends rights of others, and refuses a broken authority rather than making another', async () => {
    using scratch = makeScratch();
    const deps = { folder: scratch.path, random: systemRandom, issue };
    const file = path.join(scratch.path, 'authority.pem');
    const request = { names: NAMES, nowMs: Date.now() };
    const first = await prepareOwn(request, deps);
    chmodSync(file, 0o644);
    assert.equal((await prepareOwn(request, deps)).fingerprint, first.fingerprint);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const kept = readFileSync(file, 'utf8');
    writeFileSync(file, kept.slice(0, 200));
    await assert.rejects(prepareOwn(request, deps), /authority\.pem as it does not hold a key and its certificate: put the file back/u);
    assert.equal(readFileSync(file, 'utf8').length, 200);
  });
});

it('an elder authority vouches for its successors: who pinned it goes on, and who knows only the newest is let in too', async () => {
  using scratch = makeScratch();
  const deps = { folder: scratch.path, random: systemRandom, issue };
  const request = { names: NAMES, nowMs: Date.now() };
  const prepared = [await prepareOwn(request, deps)];
  for (let rotation = 0; rotation < 2; rotation += 1) {
    const elder = (await readAuthority(scratch.path)) as Authority;
    const made = await makeAuthority(deps, request.nowMs);
    const { certificate: cross } = await issue({ kind: 'cross', authority: made, elder });
    await writeAuthority(scratch.path, { ...made, elders: [elder.certificate, ...elder.elders], crosses: [cross, ...elder.crosses] });
    prepared.push(await prepareOwn(request, deps));
  }
  const latest = prepared.at(-1) as TlsMaterial;
  assert.equal(new Set(prepared.map(({ fingerprint }) => fingerprint)).size, 3);
  for (const [root = ''] of prepared.map(({ roots }) => roots)) {
    assert.match(await connect(latest, root), /^[0-9A-F]+$/u);
  }
  const stranger = await makeAuthority(deps, request.nowMs);
  await assert.rejects(connect(latest, stranger.certificate), { code: /SELF_SIGNED|UNABLE_TO/u });
});
