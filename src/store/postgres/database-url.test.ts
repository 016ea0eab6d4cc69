import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ConfigError } from '../../base/config.ts';
import { parseDatabaseUrl } from './database-url.ts';

it('parseDatabaseUrl() reads user, password, hosts, port, database and sslmode', () => {
  const target = parseDatabaseUrl('postgres://cara:s%40cret@db.example:6543/fleet?sslmode=verify-full');
  assert.deepEqual(
    [target.user, target.password, target.addresses, target.database, target.label],
    ['cara', 's@cret', [{ host: 'db.example', port: 6543 }], 'fleet', 'cara@db.example:6543/fleet'],
  );
  assert.deepEqual(target.tls, { options: { rejectUnauthorized: true }, isRequired: true });
  const several = parseDatabaseUrl('postgresql://cara@[::1]:1,b,10.0.0.1:3/fleet?port=9');
  assert.deepEqual(several.addresses, [
    { host: '::1', port: 1 },
    { host: 'b', port: 9 },
    { host: '10.0.0.1', port: 3 },
  ]);
});

it('parseDatabaseUrl() fills in what is usual, and takes a socket from host', () => {
  const target = parseDatabaseUrl('postgres://me@');
  assert.deepEqual([target.user, target.database, target.addresses], ['me', 'me', [{ host: 'localhost', port: 5432 }]]);
  const socket = parseDatabaseUrl('postgres://me@/fleet?host=/run/postgresql');
  assert.deepEqual([socket.addresses, socket.tls], [[{ host: '/run/postgresql', port: 5432 }], 'none']);
});

it('parseDatabaseUrl() maps sslmode as libpq does', () => {
  const tlsOf = (mode: string) => parseDatabaseUrl(`postgres://u@h/d?sslmode=${mode}`).tls;
  assert.equal(tlsOf('disable'), 'none');
  for (const [mode, isRequired, isVerified] of [
    ['prefer', false, false],
    ['require', true, false],
    ['verify-ca', true, true],
  ] as const) {
    const tls = tlsOf(mode);
    assert.ok(tls !== 'none');
    assert.deepEqual([tls.isRequired, tls.options.rejectUnauthorized], [isRequired, isVerified], mode);
  }
});

it('parseDatabaseUrl() refuses what it cannot use in one line that never shows the password', () => {
  const bad: Readonly<Record<string, RegExp>> = {
    'postgres://u:topsecret@h:99999/d': /port must be from 1 to 65535: current value is "99999"/u,
    'postgres://u:topsecret@h:x/d': /host must be a name or an address/u,
    'postgres://u:topsecret@h/d?sslmode=maybe': /sslmode must be one of disable, .*current value is "maybe"/u,
    'postgres://u:topsecret@h/d?colour=red': /parameter "colour" is unknown/u,
    'postgres://u:top/secret@h/d': /must look like postgres:\/\/USER/u,
    'postgres://u:topsecret%@h/d': /percent-encoding of its password/u,
    'postgres://h/d': /names no user/u,
    'postgres:/d': /must look like/u,
    'postgres://u:topsecret@h/d?sslrootcert=/nonexistent/ca.pem': /sslrootcert cannot be read/u,
  };
  for (const [url, message] of Object.entries(bad)) {
    assert.throws(
      () => parseDatabaseUrl(url),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError, url);
        assert.match(error.message, /^Cannot use DATABASE_URL as /u);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /secret/u);
        return true;
      },
    );
  }
});
