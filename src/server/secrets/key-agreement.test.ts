import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { StartError } from '../../base/program.ts';
import { systemRandom } from '../../base/random.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { agreeOnKey, forgetSharedKey, requireSharedKey } from './key-agreement.ts';
import { newKey, toKeyring } from './keyring.ts';

it('servers on one database start with the same key of Secrets, or not at all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cara-key-'));
  const settings = { DATA_DIR: folder, SECRETS_KEY: undefined, SECRETS_KEY_FILE: undefined };
  const store = createMemoryStore({ clock: systemClock });
  const deps = { store, random: systemRandom, clock: systemClock };
  const [first, second] = [newKey(), newKey()];

  await requireSharedKey(settings, deps); // nobody has said which it is
  await agreeOnKey(settings, toKeyring(first), deps);
  await agreeOnKey(settings, toKeyring(first), deps);
  const isRefusal = (error: unknown): boolean =>
    error instanceof StartError && /copy the key file of another server to/u.test(error.message);
  await assert.rejects(agreeOnKey(settings, toKeyring(second), deps), isRefusal);
  await assert.rejects(requireSharedKey(settings, deps), isRefusal, 'no key is made where the others have one');

  await agreeOnKey(settings, toKeyring(second, [first]), deps); // a new one in front, the old one still known
  await assert.rejects(agreeOnKey(settings, toKeyring(first), deps), isRefusal);
  await forgetSharedKey(store);
  await agreeOnKey(settings, toKeyring(first), deps);
  await rm(folder, { recursive: true });
});
