import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError, type Reason } from '../../api/errors.ts';
import { systemRandom } from '../../base/random.ts';
import type { FetchAnswer } from '../../client/transport.ts';
import { NodeCredential } from './node-credential.ts';

const FOREVER = new AbortController().signal;

/** A server that knows the credential `good` alone, and gives it to who proves, unless `refuses` says why not. */
function setUp() {
  const clock = new VirtualClock();
  const server: { good: string; refuses: Reason | undefined; shown: string[]; proofs: number } = {
    good: 'first',
    refuses: undefined,
    shown: [],
    proofs: 0,
  };
  const credential = new NodeCredential({
    client: {
      challenge: async () => ({ clusterId: 'c1', challenge: 'x' }),
      prove: async () => {
        server.proofs += 1;
        if (server.refuses !== undefined) {
          throw new ApiError(server.refuses, `Refused: ${server.refuses}`);
        }
        return { token: server.good, lastsMs: 3_600_000 };
      },
      join: async () => undefined,
    },
    nodeName: 'worker-01',
    loadKey: async () => ({ publicKey: 'k', sign: () => 's' }),
    readJoinToken: async () => undefined,
    registration: () => ({}),
    signal: FOREVER,
    clock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
  });
  const fetch = credential.wrap(async (_url, { headers }) => {
    const shown = headers['authorization'] ?? 'nothing';
    server.shown.push(shown);
    const status = shown === `Bearer ${server.good}` ? 200 : 401;
    return { status, text: async () => '' } as FetchAnswer;
  });
  const ask = async (): Promise<number | Reason> => {
    try {
      return (await fetch('http://server/', { method: 'GET', headers: {}, redirect: 'error', signal: FOREVER })).status;
    } catch (error) {
      return error instanceof ApiError ? error.reason : assert.fail(String(error));
    }
  };
  return { clock, server, credential, ask };
}

test('wrap() gets a credential when the server asks for one, and another when that is known no more', async () => {
  const { server, ask } = setUp();
  assert.equal(await ask(), 200);
  server.good = 'second';
  assert.equal(await ask(), 200);
  assert.deepEqual(server.shown, ['nothing', 'Bearer first', 'Bearer first', 'Bearer second']);
});

test('wrap() shows a credential that was refused once and no more, and tells why it was, however often that is asked', async () => {
  const { clock, server, credential, ask } = setUp();
  await ask();
  server.good = 'none';
  server.refuses = 'Unauthorized';
  server.shown = [];
  assert.equal(await ask(), 'Unauthorized');
  assert.throws(() => credential.show(), { message: 'Refused: Unauthorized' });
  const before = server.proofs;
  server.refuses = 'TooManyRequests';
  for (let round = 0; round < 20; round += 1) {
    await clock.advance(16_000);
    assert.equal(await ask(), 'Unauthorized');
  }
  assert.ok(server.proofs - before >= 20, `${server.proofs - before} proofs`);
  assert.deepEqual(
    server.shown.filter((shown) => shown !== 'nothing'),
    ['Bearer first'],
    'shown again, and counted as a failed login each time',
  );
  server.refuses = 'ApprovalNeeded';
  await clock.advance(16_000);
  assert.equal(await ask(), 'ApprovalNeeded', 'another cause is told');
  server.refuses = undefined;
  server.good = 'third';
  await clock.advance(16_000);
  assert.deepEqual([await ask(), credential.show()], [200, 'third']);
});

test('wrap() keeps its credential while the server cannot tell', async () => {
  const { clock, server, credential, ask } = setUp();
  await ask();
  const { good } = server;
  server.good = 'none';
  server.refuses = 'Unavailable';
  assert.equal(await ask(), 'Unavailable');
  assert.equal(credential.show(), good);
  server.good = good;
  await clock.advance(16_000);
  assert.equal(await ask(), 200);
});
