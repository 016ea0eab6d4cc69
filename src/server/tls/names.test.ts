import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers, listNames, readNames } from './names.ts';

const of = (...addresses: string[]) => addresses.map((address) => ({ address, internal: address === '127.0.0.1' }));
const MACHINE = {
  hostname: 'Home.Lan.',
  interfaces: {
    lo: of('127.0.0.1'),
    eth0: of('192.168.1.2', 'fe80::1', '2001:db8::2'),
    docker0: of('172.17.0.1'),
    'br-9f0c': of('10.210.0.1'),
  },
};
const NOTHING = { ADVERTISE_URL: undefined, ALLOWED_HOSTS: undefined };

describe('listNames()', () => {
  it('has every address by which others may call the machine, and none of its insides', () => {
    const names = listNames({ HOST: '0.0.0.0', ...NOTHING }, MACHINE);
    assert.deepEqual(names, ['127.0.0.1', '192.168.1.2', '2001:db8::2', '::1', 'home.lan', 'localhost']);
  });

  it('has HOST, ADVERTISE_URL and ALLOWED_HOSTS, and nothing that is no name', () => {
    const settings = {
      HOST: 'cara.lan',
      ADVERTISE_URL: 'https://[2001:db8::9]:8443',
      ALLOWED_HOSTS: ['cara.example', 'bad..-', '10.1.1.1'],
    };
    const names = listNames(settings, { ...MACHINE, hostname: 'a_b c' });
    assert.deepEqual(names.toSorted(), [
      '10.1.1.1',
      '127.0.0.1',
      '192.168.1.2',
      '2001:db8::2',
      '2001:db8::9',
      '::1',
      'cara.example',
      'cara.lan',
      'localhost',
    ]);
  });
});

it('covers() knows the spellings of an address', () => {
  const has = readNames('DNS:localhost, IP Address:0:0:0:0:0:0:0:1, IP Address:FD00:0:0:0:0:0:0:2, IP Address:10.0.0.1, URI:x');
  assert.deepEqual(has, ['localhost', '::1', 'fd00::2', '10.0.0.1']);
  assert.equal(covers(has, ['LOCALHOST', '::1', 'fd00:0::2']), true);
  assert.equal(covers(has, ['10.0.0.2']), false);
  assert.deepEqual(readNames(undefined), []);
});
