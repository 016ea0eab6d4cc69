import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { StartError } from '../base/program.ts';
import { systemDisk } from '../base/disk.ts';
import { systemRandom } from '../base/random.ts';
import { loadIdentity } from './identity.ts';

const load = async (folder: string, osBootId = 'boot-1') =>
  await loadIdentity(folder, { disk: systemDisk, random: systemRandom, osBootId });

it('loadIdentity() makes an identity once, for its owner alone, with another bootId at each start', async () => {
  using scratch = makeScratch();
  const first = await load(scratch.path);
  const second = await load(scratch.path);
  assert.equal(second.id, first.id);
  assert.notEqual(second.bootId, first.bootId);
  assert.equal(statSync(join(scratch.path, 'identity.json')).mode & 0o777, 0o600);
});

it('loadIdentity() remembers the cluster that was joined last', async () => {
  using scratch = makeScratch();
  const first = await load(scratch.path);
  assert.equal(first.clusterId(), undefined);
  await first.rememberCluster('c1');
  assert.equal(first.clusterId(), 'c1');
  const second = await load(scratch.path);
  assert.equal(second.clusterId(), 'c1');
  assert.equal(second.id, first.id);
});

for (const content of ['', 'garbage', '{}', '{"id":"short"}', '{"id":"12345678","clusterId":7}', 'null']) {
  it(`loadIdentity() refuses ${JSON.stringify(content)}, says what to do, and makes no new identity`, async () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'identity.json');
    writeFileSync(path, content);
    await assert.rejects(
      load(scratch.path),
      (error) =>
        error instanceof StartError && error.message.includes(path) && /restore it from a backup, or remove it/u.test(error.message),
    );
    assert.equal(readFileSync(path, 'utf8'), content);
  });
}

it('loadIdentity() knows its machine again after a restart of the agent, and not after a boot or in a copy, until it is proven', async () => {
  using scratch = makeScratch();
  const folder = join(scratch.path, 'a');
  const copy = join(scratch.path, 'b');
  mkdirSync(folder);
  assert.equal((await load(folder)).isUnproven(), false);
  assert.equal((await load(folder)).isUnproven(), false);
  cpSync(folder, copy, { recursive: true });
  assert.equal((await load(copy)).isUnproven(), true);
  const booted = await load(folder, 'boot-2');
  assert.equal(booted.isUnproven(), true);
  assert.notEqual(booted.machine, (await load(folder)).machine);
  await booted.rememberCluster('c1');
  assert.equal((await load(folder, 'boot-2')).isUnproven(), true);
  await booted.prove();
  assert.equal(booted.isUnproven(), false);
  assert.equal((await load(folder, 'boot-2')).isUnproven(), false);
});
