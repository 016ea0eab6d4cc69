import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { readGiven } from './given-certificate.ts';
import { issue } from './issue.ts';

it('readGiven() names the setting and the file of whatever cannot be used', async () => {
  using scratch = makeScratch();
  const nowMs = Date.now();
  const authority = await issue({ kind: 'authority', id: 'a', nowMs });
  const own = await issue({ kind: 'server', authority, names: ['cara.example'], nowMs });
  const other = await issue({ kind: 'server', authority, names: ['cara.example'], nowMs });
  const locked = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  });
  const put = (name: string, content: string): string => {
    writeFileSync(path.join(scratch.path, name), content);
    return path.join(scratch.path, name);
  };
  const cert = put('cert', own.certificate);
  const key = put('key', own.key);
  const refusals = [
    [{ TLS_CERT: cert, TLS_KEY: undefined }, /TLS_CERT without TLS_KEY/u],
    [{ TLS_CERT: undefined, TLS_KEY: key }, /TLS_KEY without TLS_CERT/u],
    [{ TLS_CERT: '/none', TLS_KEY: key }, /TLS_CERT as \/none cannot be read: there is no such file/u],
    [{ TLS_CERT: cert, TLS_KEY: '/none' }, /TLS_KEY as \/none cannot be read/u],
    [{ TLS_CERT: key, TLS_KEY: key }, /TLS_CERT as .*key holds no certificate/u],
    [{ TLS_CERT: cert, TLS_KEY: cert }, /TLS_KEY as .*cert holds no private key/u],
    [{ TLS_CERT: cert, TLS_KEY: put('other', other.key) }, /is not that of the first certificate in/u],
    [{ TLS_CERT: cert, TLS_KEY: put('locked', locked.privateKey) }, /is encrypted: take off its passphrase/u],
    [{ TLS_CERT: put('broken', own.certificate.replace(/^MII/mu, 'AAA')), TLS_KEY: key }, /certificate in .*broken is broken/u],
  ] as const;
  for (const [files, words] of refusals) {
    await assert.rejects(readGiven(files, nowMs), words);
  }
  await assert.rejects(readGiven({ TLS_CERT: cert, TLS_KEY: key }, nowMs + 91 * 86_400_000), /expired at 20/u);

  const alone = await readGiven({ TLS_CERT: cert, TLS_KEY: key }, nowMs);
  assert.deepEqual([alone.roots, alone.fingerprint, alone.names], [[], undefined, ['cara.example']], 'everybody must know its authority');
  const whole = await readGiven({ TLS_CERT: put('whole', own.certificate + authority.certificate), TLS_KEY: key }, nowMs);
  assert.match(whole.fingerprint ?? '', /^sha256:/u);

  chmodSync(key, 0o644);
  const open = await readGiven({ TLS_CERT: cert, TLS_KEY: key }, nowMs);
  assert.match(open.warnings?.join() ?? '', /^Everyone on this machine can read TLS_KEY in .*key, .*: chmod 640 it: current mode is 644$/u);
  chmodSync(key, 0o640);
  assert.deepEqual((await readGiven({ TLS_CERT: cert, TLS_KEY: key }, nowMs)).warnings, []);
});
