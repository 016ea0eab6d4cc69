import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { findFreePort } from './ports.ts';

test('findFreePort() gives the preferred port when it is free and another when it is taken', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : 0;
  assert.notEqual(await findFreePort(taken, '127.0.0.1'), taken);
  server.close();
  await once(server, 'close');
  assert.equal(await findFreePort(taken, '127.0.0.1'), taken);
});
