import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeProject } from '../../test/support/objects/projects.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { VirtualClock } from '../../test/support/time/virtual-clock.ts';
import { systemDisk } from '../base/disk.ts';
import { systemRandom } from '../base/random.ts';
import { AssignmentFile } from './assignment-file.ts';

const log = pino({ level: 'silent' });
const open = (folder: string, nodeName = 'worker-01'): AssignmentFile =>
  new AssignmentFile({
    disk: systemDisk,
    path: join(folder, 'assignments.json'),
    nodeName,
    clock: new VirtualClock(),
    random: systemRandom,
    log,
  });

/** Runs the writer until it has written what it was told. */
async function flush(file: AssignmentFile): Promise<void> {
  await file.run(AbortSignal.abort()); // it writes once more when it ends
}

describe('AssignmentFile', () => {
  it('AssignmentFile gives back what was assigned, for its owner alone', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    file.replaceAll('c1', [makeProject()]);
    file.put(makeProject({ name: 'blog', uid: 'u2' }));
    await flush(file);
    const read = await open(scratch.path).read('c1');
    assert.deepEqual(
      read?.map(({ metadata }) => metadata.name),
      ['shop', 'blog'],
    );
    assert.equal(statSync(join(scratch.path, 'assignments.json')).mode & 0o777, 0o600);
  });

  it('AssignmentFile writes nothing while only status and versions move', async () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'assignments.json');
    const file = open(scratch.path);
    const project = makeProject();
    file.replaceAll('c1', [project]);
    await flush(file);
    const { ino } = statSync(path);
    file.put({ ...project, metadata: { ...project.metadata, resourceVersion: '9' }, status: { ...project.status, phase: 'Running' } });
    await flush(file);
    assert.equal(statSync(path).ino, ino);
    file.put({ ...project, status: { ...project.status, assignment: 2 } });
    await flush(file);
    assert.notEqual(statSync(path).ino, ino);
  });

  it('AssignmentFile keeps which runs were well, and how often and why services were restarted', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    const project = makeProject();
    file.replaceAll('c1', [project]);
    await flush(file);
    const lastExit = { reason: 'Exited', exitCode: 3, finishedAt: '2026-01-01T00:00:00Z' } as const;
    const known = {
      name: 'web',
      state: 'Running',
      ready: true,
      containerId: 'c',
      startedAt: '2026-01-01T00:00:01Z',
      restarts: 2,
      lastExit,
    } as const;
    const health = { state: 'Healthy' } as const;
    file.put({ ...project, status: { ...project.status, services: [{ ...known, health, message: 'words that come and go' }] } });
    await flush(file);
    const read = await open(scratch.path).read('c1');
    assert.deepEqual(read?.[0]?.status.services, [known]);
  });

  it('AssignmentFile keeps that a Project was asked to leave, so that a restart does not bring it up again', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    const project = makeProject();
    file.replaceAll('c1', [project]);
    await flush(file);
    const move = { from: 'worker-01', requestedAt: '2026-01-01T00:00:00Z' };
    file.put({ ...project, status: { ...project.status, move } });
    await flush(file);
    const read = await open(scratch.path).read('c1');
    assert.deepEqual(
      read?.map(({ status }) => status.move),
      [move],
    );
  });

  it('AssignmentFile keeps which version was good and which was given up, until the Project goes', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    file.replaceAll('c1', [makeProject(), makeProject({ name: 'blog', uid: 'u2' })]);
    const failed = { version: 'v', generation: 2, message: 'Generation 2 was rolled back to 1' };
    file.rollouts.put('u1', { failed });
    file.rollouts.put('u2', { failed });
    await flush(file);
    file.delete('blog', 'u2');
    await flush(file);
    const again = open(scratch.path);
    await again.read('c1');
    assert.deepEqual([again.rollouts.find('u1'), again.rollouts.find('u2')], [{ failed }, undefined]);
  });

  it('AssignmentFile.delete() leaves a Project that has taken the name of the one deleted', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    file.replaceAll('c1', [makeProject({ uid: 'new' })]);
    file.delete('shop', 'old');
    assert.equal(file.find('shop')?.metadata.uid, 'new');
    file.delete('shop', 'new');
    assert.equal(file.find('shop'), undefined);
  });

  it('AssignmentFile.read() does not know what another cluster or another node was assigned', async () => {
    using scratch = makeScratch();
    const file = open(scratch.path);
    file.replaceAll('c1', [makeProject()]);
    await flush(file);
    assert.equal(await open(scratch.path).read('c2'), undefined);
    assert.equal(await open(scratch.path, 'worker-02').read('c1'), undefined);
    assert.equal((await open(scratch.path).read('c1'))?.length, 1);
  });

  for (const content of ['', '{', 'null', '[]', '{"format":1,"clusterId":"c1","node":"worker-01","projects":[{}]}']) {
    it(`AssignmentFile.read() sets ${JSON.stringify(content)} aside and does not know`, async () => {
      using scratch = makeScratch();
      const path = join(scratch.path, 'assignments.json');
      writeFileSync(path, content);
      assert.equal(await open(scratch.path).read('c1'), undefined);
      assert.equal(existsSync(path), false);
      const [aside] = readdirSync(scratch.path);
      assert.equal(aside, 'assignments.json.corrupt-2026-01-01T000000000Z');
      assert.equal(readFileSync(join(scratch.path, aside), 'utf8'), content);
    });
  }

  it('AssignmentFile.read() knows nothing where there is no file', async () => {
    using scratch = makeScratch();
    assert.equal(await open(scratch.path).read('c1'), undefined);
  });
});
