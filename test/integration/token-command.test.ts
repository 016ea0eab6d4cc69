/** `cara-server token create`: the way back in for whoever is on the server's machine. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const BIN = path.join(import.meta.dirname, '../../bin/cara-server');
const TOKEN = /^cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}\n$/u;

function create(dataDir: string, ...flags: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(BIN, ['token', 'create', ...flags], {
    encoding: 'utf8',
    env: { ...process.env, DATA_DIR: dataDir },
  });
  return { status, stdout, stderr };
}

test('it makes an admin token while the server runs, and while it does not; its socket is its owner’s alone', async () => {
  using scratch = makeScratch();
  await using server = await startServer({ dataDir: scratch.path, env: { AUTH: 'token' } });
  const socket = statSync(path.join(scratch.path, 'admin.sock'));
  assert.ok(socket.isSocket() && (socket.mode & 0o777) === 0o600);
  const whoAmI = async (token: string): Promise<unknown> => {
    const answer = await fetch(`${server.url}/api/v1/auth/whoami`, { headers: { authorization: `Bearer ${token.trim()}` } });
    const { user, role } = (await answer.json()) as { readonly user?: string; readonly role?: string };
    return [answer.status, user, role];
  };
  const running = create(scratch.path, '--user', 'rescue');
  assert.match(running.stdout, TOKEN, running.stderr);
  assert.deepEqual(await whoAmI(running.stdout), [200, 'rescue', 'admin']);
  const wrong = create(scratch.path, '--role', 'king');
  assert.deepEqual([wrong.status, wrong.stdout], [1, '']);
  assert.match(wrong.stderr, /^error: Cannot read token: \/role must be one of admin, editor, viewer, node/u);
  await server.kill();
  const stopped = create(scratch.path);
  assert.match(stopped.stdout, TOKEN, stopped.stderr);
  await using again = await startServer({ dataDir: scratch.path, env: { AUTH: 'token' } });
  const answer = await fetch(`${again.url}/api/v1/tokens`, { headers: { authorization: `Bearer ${stopped.stdout.trim()}` } });
  assert.equal(answer.status, 200);
  assert.doesNotMatch(JSON.stringify([...server.log(), ...again.log()].filter((record) => !('text' in record))), /cara_t[0-9a-f]{15}_/u);
});
