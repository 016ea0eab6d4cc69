import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { TlsMaterial } from './material.ts';
import { TlsKeeper } from './tls-keeper.ts';

const OPEN = 'Everyone on this machine can read TLS_KEY';

test('what should not be kept as it is, is logged once and told for as long as it is so', async () => {
  const clock = new VirtualClock();
  const told: unknown[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void told.push(JSON.parse(line).detail) });
  let warnings: readonly string[] = [OPEN];
  const prepare = async (): Promise<TlsMaterial> => ({
    key: 'key',
    chain: 'chain',
    roots: [],
    fingerprint: undefined,
    names: [],
    expiresAtMs: clock.wallMs() + 90 * 86_400_000,
    warnings,
  });
  const keeper = new TlsKeeper({ prepare, clock, log }, await prepare());
  await keeper.look();
  assert.deepEqual([told, keeper.warnings()], [[OPEN], [OPEN]]);
  warnings = [];
  await keeper.look();
  assert.deepEqual([told, keeper.warnings()], [[OPEN], []]);
  warnings = [OPEN];
  await keeper.look();
  assert.deepEqual([told, keeper.warnings()], [[OPEN, OPEN], [OPEN]], 'it was mended, and is so again');
});
