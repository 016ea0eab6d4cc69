import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, loadConfig } from '../base/config.ts';
import { serverSettings } from './config.ts';

test('serverSettings() asks for DATA_DIR where there is no home, rather than keep the fleet in a folder that may be emptied', () => {
  const settings = serverSettings({ env: {}, isRoot: false });
  assert.throws(
    () => loadConfig(settings, { argv: [], env: {} }),
    new ConfigError(
      'Cannot do without DATA_DIR as neither HOME nor XDG_STATE_HOME names a folder to keep state in: set it to a folder that lasts',
    ),
  );
  assert.equal(loadConfig(settings, { argv: [], env: { DATA_DIR: '/srv/cara' } }).DATA_DIR, '/srv/cara');
});
