import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn } from '../support/worlds/api.ts';

const CARACTRL = join(import.meta.dirname, '../../bin/caractrl');

describe('caractrl as a process', () => {
  test('results go to stdout and all else to stderr; exit codes are 0, 1 and 2', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    await api.apply('Node', 'worker-01');
    const run = async (...args: readonly string[]) => {
      const child = spawn(CARACTRL, args, { env: { ...process.env, CARA_SERVER: api.server.url } });
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      return [code, stdout.split('\n')[0], stderr.split('\n')[0]];
    };
    assert.deepEqual(await run('get', 'nodes', '-o', 'name'), [0, 'node/worker-01', '']);
    assert.deepEqual(await run('get', 'node', 'x'), [1, '', 'error: node "x" not found']);
    assert.deepEqual(await run('git', 'nodes'), [2, '', "error: Unknown command 'git'"]);
  });

  test('who stops reading gets no complaint, and the command ends', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    for (let index = 0; index < 300; index += 1) {
      await api.apply('Node', `worker-${index}`); // together more than a pipe holds
    }
    const command = `"${CARACTRL}" get nodes -o json | head -c 1`;
    const child = spawn('sh', ['-c', command], { env: { ...process.env, CARA_SERVER: api.server.url } });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    assert.deepEqual([stdout, stderr], ['{', '']);
  });

  test('Ctrl-C ends a wait with 130 and says what stays', async () => {
    await using api = await startApiOn({ clock: systemClock, listen: true });
    const child = spawn(CARACTRL, ['apply', '--wait', '-f', '-'], { env: { ...process.env, CARA_SERVER: api.server.url } });
    child.stdin.end('apiVersion: caravanserai/v1\nkind: Project\nmetadata: { name: x }\nspec: { services: [{ name: web, image: a }] }\n');
    const stderr = text(child.stderr);
    for await (const chunk of child.stdout) {
      if (String(chunk).includes('created')) {
        break;
      }
    }
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    assert.equal(code, 130);
    assert.match(await stderr, /Stopped waiting; what was applied stays applied\n$/u);
  });
});
