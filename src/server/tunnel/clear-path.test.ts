import assert from 'node:assert/strict';
import { it } from 'node:test';
import { mayDialInClear } from './clear-path.ts';

it('mayDialInClear() lets a credential go unencrypted only within this machine and an overlay network that it is in', () => {
  const may = (host: string, ownAddresses = ['192.168.1.2']): boolean => mayDialInClear(host, { isNetworkTrusted: false, ownAddresses });
  assert.deepEqual(
    ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'].filter((host) => !may(host)),
    [],
  );
  assert.deepEqual(
    ['192.168.1.5', '10.0.0.1', '100.64.0.9', '203.0.113.1', '2001:db8::1', 'worker', ''].filter((host) => may(host)),
    [],
  );
  const inOverlay = ['192.168.1.2', '100.100.0.2'];
  assert.deepEqual(
    ['100.64.0.9', '100.127.255.255', 'fd7a:115c:a1e0::5'].filter((host) => !may(host, inOverlay)),
    [],
  );
  assert.deepEqual(
    ['192.168.1.5', '100.128.0.1', 'fd7a:115c:a1e1::5'].filter((host) => may(host, inOverlay)),
    [],
  );
  assert.equal(mayDialInClear('192.168.1.5', { isNetworkTrusted: true, ownAddresses: [] }), true, 'TLS=off says so');
});
