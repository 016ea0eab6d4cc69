import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundOf } from '../../../test/support/objects/resources.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { createDroppedProjects } from './dropped-projects.ts';

test('ask() clears away what is on another node now, and leaves what the server does not know or has as this node`s', async () => {
  const clock = new VirtualClock();
  const stale: string[] = [];
  let isAway = true;
  const server = new Map<string, ProjectObject>([
    ['moved', boundOf('moved', 'n2')],
    ['here', boundOf('here', 'n1')],
    ['remade', boundOf('remade', 'n2', { meta: { uid: 'another' } })],
  ]);
  const dropped = createDroppedProjects({
    nodeName: 'n1',
    find: async (name) => {
      await Promise.resolve();
      if (isAway) {
        throw new ApiError('Unavailable', 'Cannot reach the server');
      }
      return server.get(name);
    },
    onStale: (project) => stale.push(project),
    clock,
    random: { next: () => 0.5, uuid: () => 'uuid' },
    log: silentLog,
  });
  const ended = new AbortController();
  const running = dropped.run(ended.signal).catch(() => undefined);
  dropped.ask(['moved', 'here', 'remade', 'unknown'].map((name) => boundOf(name, 'n1')));
  await clock.advance(5000);
  assert.deepEqual(stale, []);
  isAway = false;
  await clock.advance(10_000);
  assert.deepEqual(stale, ['moved']);
  ended.abort(new Error('stopping'));
  await running;
});
