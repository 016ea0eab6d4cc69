import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, loadConfig } from '../base/config.ts';
import { agentSettings } from './config.ts';

const settings = agentSettings({ hostname: 'Pve-03.Local', env: {}, isRoot: true });
const load = (env: Record<string, string>) => loadConfig(settings, { argv: [], env });

describe('agentSettings()', () => {
  it('agentSettings() has the defaults of the contract', () => {
    assert.deepEqual(load({}), {
      SERVER_URL: 'http://127.0.0.1:8080',
      NODE_NAME: 'pve-03.local',
      HEARTBEAT_INTERVAL: 30_000,
      DOCKER_HOST: 'unix:///var/run/docker.sock',
      AGENT_HOST: undefined,
      AGENT_PORT: 9090,
      NODE_IP: undefined,
      CA_FINGERPRINT: undefined,
      JOIN_TOKEN: undefined,
      JOIN_TOKEN_FILE: undefined,
      TAILSCALE_SOCKET: '/var/run/tailscale/tailscaled.sock',
      THROUGHPUT_TEST: 'daily',
      SYSTEM_RESERVED: { cpuMillis: 200, memoryBytes: 256 * 2 ** 20, diskBytes: 2 ** 30 },
      ALLOWED_HOST_PATHS: undefined,
      ALLOW_PRIVILEGED: false,
      DATA_DIR: '/var/lib/caravanserai',
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'auto',
    });
  });

  it('agentSettings() reserves nothing of what SYSTEM_RESERVED leaves out', () => {
    assert.deepEqual(load({ SYSTEM_RESERVED: 'cpu=1.5' }).SYSTEM_RESERVED, { cpuMillis: 1500, memoryBytes: 0, diskBytes: 0 });
  });

  for (const [key, value, wanted] of [
    ['HEARTBEAT_INTERVAL', '30', 'a duration with a unit'],
    ['HEARTBEAT_INTERVAL', '0s', 'a duration of at least 100ms and at most 1h'],
    ['SERVER_URL', 'cara-server:8080', 'an http:// or https:// URL without a path'],
    ['SERVER_URL', 'http://cara-server/api', 'an http:// or https:// URL without a path'],
    ['NODE_NAME', 'Worker_01', 'a DNS subdomain'],
    ['AGENT_PORT', '70000', 'a whole number from 0 to 65535'],
    ['NODE_IP', '10.0.0', 'an IP address'],
    ['THROUGHPUT_TEST', 'hourly', 'one of daily, off'],
    ['SYSTEM_RESERVED', 'memory=4gb', 'where memory is a quantity'],
    ['SYSTEM_RESERVED', 'gpu=1', 'pairs of cpu, memory and disk'],
    ['SYSTEM_RESERVED', 'cpu=200m,cpu=1', 'once at most'],
    ['ALLOWED_HOST_PATHS', 'srv', 'absolute paths'],
    ['ALLOW_PRIVILEGED', 'yes', 'true or false'],
    ['LOG_LEVEL', 'loud', 'one of trace, debug'],
  ] as const) {
    it(`agentSettings() refuses ${key}=${value} with the key, the value and the form it wants`, () => {
      assert.throws(
        () => load({ [key]: value }),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, new RegExp(`^Cannot use ${key} as it must be .*: current value is "${value}"$`, 'u'));
          assert.ok(error.message.includes(wanted), error.message);
          return true;
        },
      );
    });
  }
});
