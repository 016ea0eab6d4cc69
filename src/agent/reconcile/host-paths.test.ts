import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkHostPaths } from './host-paths.ts';

describe('checkHostPaths()', () => {
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'hp'));
    await mkdir(join(root, 'srv/a'), { recursive: true });
    await mkdir(join(root, 'etc'));
    await symlink(join(root, 'etc'), join(root, 'srv/a/out'));
    await symlink(join(root, 'srv/a'), join(root, 'srv/in'));
    await symlink(join(root, 'srv'), join(root, 'link-to-srv'));
  });
  after(async () => await rm(root, { recursive: true }));

  const check = async (source: string, allowed = 'srv'): Promise<void> => await checkHostPaths([join(root, source)], [join(root, allowed)]);

  test('refuses a path whose link leads out of the allowed folders, also where the end of it does not exist yet', async () => {
    await assert.rejects(check('srv/a/out'), {
      name: 'StepError',
      message: /as a link leads from there to ".*\/etc", outside the folders/u,
    });
    await assert.rejects(check('srv/a/out/new/deep'), /outside the folders/u);
  });

  test('takes links that stay within, what does not exist, and an allowed folder that is a link itself', async () => {
    await check('srv/a');
    await check('srv/in');
    await check('srv/not/yet');
    await check('srv/a', 'link-to-srv');
  });

  test('looks at nothing where there is no HostPath', async () => {
    await checkHostPaths([], ['/proc/self/cmdline/no-folder']);
  });
});
