/** Two servers on one store, as on PostgreSQL: what one grants or revokes holds on the other. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { startApi } from '../support/worlds/api.ts';
import { startAccessWorld } from '../support/worlds/access-world.ts';

test('a token made at one server works at the other with the next request, and revoked there it is nothing here', async () => {
  await using world = await startAccessWorld();
  await using other = await startApi({ config: { AUTH: 'token' }, store: world.api.store, clock: world.api.clock });
  const { token, id } = await world.createToken({ role: 'viewer', user: 'ann' });
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await other.call('GET', '/nodes', { headers })).status, 200);
  const admin = { authorization: `Bearer ${world.tokens.get('admin') ?? ''}` };
  assert.equal((await other.call('DELETE', `/tokens/${id}`, { headers: admin })).status, 200);
  await nextTurn();
  assert.equal((await world.with(token, 'GET', '/nodes')).status, 401);
  assert.equal((await other.call('GET', '/nodes', { headers })).status, 401);
});
