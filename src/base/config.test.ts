import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConfigError,
  describeSettings,
  listSecretFlags,
  loadConfig,
  oneOf,
  redactConfig,
  takeConfigPath,
  text,
  wholeNumber,
  type ConfigSources,
  type Settings,
} from './config.ts';

const SETTINGS = {
  PORT: { read: wholeNumber(0, 65_535), default: '8080', help: 'port' },
  LOG_LEVEL: { read: oneOf(['info', 'debug']), default: 'info', help: 'level' },
  TOKEN: { read: text, default: undefined, help: 'token', isSecret: true },
} as const satisfies Settings;

function load(sources: Partial<ConfigSources>) {
  return loadConfig(SETTINGS, { argv: [], env: {}, ...sources });
}

test('loadConfig() prefers flags, then the environment, then the file, then defaults', () => {
  const file = { path: 'c.yaml', values: { port: 3, logLevel: 'debug' } };
  assert.deepEqual({ ...load({}) }, { PORT: 8080, LOG_LEVEL: 'info', TOKEN: undefined });
  assert.equal(load({ file }).PORT, 3);
  assert.equal(load({ file, env: { PORT: '2' } }).PORT, 2);
  assert.equal(load({ file, env: { PORT: '2' }, argv: ['--port', '1'] }).PORT, 1);
  assert.equal(load({ argv: ['--port=0'] }).PORT, 0);
  assert.equal(load({ env: { PORT: '' } }).PORT, 8080);
});

test('loadConfig() refuses a bad value with one line that names origin, form and value', () => {
  for (const [sources, message] of [
    [{ env: { PORT: '80x' } }, 'Cannot use PORT as it must be a whole number from 0 to 65535: current value is "80x"'],
    [{ argv: ['--log-level', 'loud'] }, 'Cannot use --log-level as it must be one of info, debug: current value is "loud"'],
    [{ argv: ['--prot', '1'] }, 'Cannot use argument "--prot" as it is no flag of this program: see --help'],
    [{ argv: ['--port'] }, 'Cannot use --port as it needs a value: see --help'],
    [{ file: { path: 'c.yaml', values: { prot: 1 } } }, 'Cannot use "prot" in c.yaml as it is no setting: known are port, logLevel, token'],
    [{ file: { path: 'c.yaml', values: [1] } }, 'Cannot use c.yaml as it must be a YAML map of settings'],
  ] as const) {
    assert.throws(
      () => load(sources),
      (error) => error instanceof ConfigError && error.message === message,
    );
  }
});

test('loadConfig() takes a flag without a value for a setting that has such a one, and the last of both counts', () => {
  const settings = { DOOR: { read: oneOf(['open', 'shut']), default: 'open', help: 'door', shorthand: { flag: 'lock', value: 'shut' } } };
  const door = (...argv: readonly string[]) => loadConfig(settings, { argv, env: { DOOR: 'open' } }).DOOR;
  assert.deepEqual(
    [door(), door('--lock'), door('--lock', '--door', 'open'), door('--door=open', '--lock')],
    ['open', 'shut', 'open', 'shut'],
  );
  assert.throws(() => door('--lock=shut'), new ConfigError('Cannot use --lock with a value as it takes none: for others there is --door'));
  assert.match(describeSettings(settings), /^ {2}--door \(DOOR\), --lock for shut\n/u);
});

test('loadConfig() refuses to go on without a value that must be there, and says why there is no default', () => {
  const settings = { DIR: { read: text, default: undefined, whenMissing: 'there is no home', help: 'folder' } };
  assert.throws(() => loadConfig(settings, { argv: [], env: {} }), new ConfigError('Cannot do without DIR as there is no home'));
  assert.equal(loadConfig(settings, { argv: [], env: { DIR: '/x' } }).DIR, '/x');
});

test('takeConfigPath() takes --config out of the arguments, else CONFIG', () => {
  assert.deepEqual(takeConfigPath(['--port', '1', '--config', 'x'], {}), { path: 'x', argv: ['--port', '1'] });
  assert.deepEqual(takeConfigPath(['--config=y', '--port', '1'], {}), { path: 'y', argv: ['--port', '1'] });
  assert.deepEqual(takeConfigPath([], { CONFIG: 'z' }), { path: 'z', argv: [] });
  assert.throws(() => takeConfigPath(['--config'], {}), ConfigError);
});

test('redactConfig() shows a value in the form in which it can be given', () => {
  const read = Object.assign((given: string) => Number.parseInt(given, 10) * 1000, { show: (ms: number) => `${ms / 1000}s` });
  const settings = { TIMEOUT: { read, default: '90s', help: 'timeout' } };
  assert.deepEqual(redactConfig(settings, loadConfig(settings, { argv: [], env: {} })), { TIMEOUT: '90s' });
});

test('redactConfig() hides secrets', () => {
  assert.equal(redactConfig(SETTINGS, load({ env: { TOKEN: 's3cret' } }))['TOKEN'], '(hidden)');
});

test('listSecretFlags() finds secrets among arguments, and nothing else', () => {
  const flags = [{ key: 'TOKEN', flag: '--token' }];
  assert.deepEqual(listSecretFlags(SETTINGS, ['--port', '1', '--token', 'x']), flags);
  assert.deepEqual(listSecretFlags(SETTINGS, ['--token=x']), flags);
  assert.deepEqual(listSecretFlags(SETTINGS, ['--port', '--tokens']), []);
});
