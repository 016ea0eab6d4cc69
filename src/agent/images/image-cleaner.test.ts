import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { systemDisk } from '../../base/disk.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Engine } from '../docker/engine.ts';
import { ImageCleaner } from './image-cleaner.ts';
import { ImageLedger } from './image-ledger.ts';

const HOUR_MS = 3_600_000;
const random = { next: () => 0.5, uuid: () => '' };
const log = pino({ level: 'silent' });

class Site {
  readonly clock = new VirtualClock();
  readonly model = new ModelEngine();
  readonly ledger: ImageLedger;
  assigned: readonly ProjectObject[] | undefined = [];
  isUnderPressure = false;

  constructor(path = '/nowhere/images.json') {
    this.ledger = new ImageLedger({ disk: systemDisk, path, clock: this.clock, random, log });
  }

  /** As the agent would: pulled, and noted. */
  pull(...references: readonly string[]): void {
    for (const reference of references) {
      this.model.addImage(reference);
      this.ledger.notePull(reference, idOf(reference));
    }
  }

  use(service: string, ...references: readonly string[]): void {
    this.ledger.noteUse(references.map((reference) => ({ imageId: idOf(reference), owner: { projectUid: 'u1', service } })));
  }

  cleaner(engine: Engine = this.model.engine): ImageCleaner {
    const { clock, ledger } = this;
    return new ImageCleaner({
      engine,
      ledger,
      clock,
      random,
      log,
      assigned: () => this.assigned,
      isUnderPressure: () => this.isUnderPressure,
    });
  }

  get images(): readonly string[] {
    return [...this.model.images.keys()].toSorted();
  }
}

function idOf(reference: string): string {
  return `sha256:${reference}`;
}

const { signal } = new AbortController();

test('clean() removes only what the agent pulled and no assigned Project asks for, uses, or used before', async () => {
  const site = new Site();
  site.assigned = [makeProject({ services: [{ name: 'web', image: 'web:4' }] })];
  site.model.addImage('theirs:1');
  site.pull('web:1', 'web:2', 'web:3', 'web:4', 'other:1', 'held:1');
  ['web:1', 'web:2', 'web:3'].forEach((image) => site.use('web', image));
  await site.model.engine.createContainer('someones', { image: 'held:1', labels: {} }, signal);
  await site.clock.advance(2 * HOUR_MS);
  const done = await site.cleaner().clean(signal);
  assert.deepEqual(site.images, ['held:1', 'theirs:1', 'web:2', 'web:3', 'web:4']);
  assert.deepEqual(done, { removed: 2, freedBytes: 2048 });
});

test('clean() leaves what was pulled within the hour: its container may be about to be made', async () => {
  const site = new Site();
  site.pull('web:1');
  assert.equal((await site.cleaner().clean(signal)).removed, 0);
  await site.clock.advance(HOUR_MS + 1);
  assert.equal((await site.cleaner().clean(signal)).removed, 1);
});

test('clean() leaves an image that somebody gave another name, or that was there before', async () => {
  const site = new Site();
  site.pull('docker.io/library/web', 'web:2');
  site.model.images.clear();
  const add = (reference: string, tags: readonly string[], digests: readonly string[] = []): void =>
    void site.model.images.set(reference, { id: idOf(reference), digest: undefined, repoTags: tags, repoDigests: digests });
  add('web:2', ['web:2', 'mine:2']);
  add('docker.io/library/web', ['web:latest'], ['web@sha256:abc', 'mine@sha256:abc']);
  await site.clock.advance(2 * HOUR_MS);
  assert.equal((await site.cleaner().clean(signal)).removed, 0);
  add('docker.io/library/web', ['web:latest'], ['web@sha256:abc']);
  assert.equal((await site.cleaner().clean(signal)).removed, 1);
});

test('clean() does nothing while it is not known what is assigned', async () => {
  const site = new Site();
  site.pull('web:1');
  site.assigned = undefined;
  await site.clock.advance(2 * HOUR_MS);
  assert.equal((await site.cleaner().clean(signal)).removed, 0);
});

test('run() cleans up daily, and on a full disk at once but not again and again', async () => {
  const site = new Site();
  let lists = 0;
  const listImages: Engine['listImages'] = async (inner) => {
    lists += 1;
    return await site.model.engine.listImages(inner);
  };
  const cleaner = site.cleaner({ ...site.model.engine, listImages });
  const controller = new AbortController();
  const running = cleaner.run(controller.signal).catch(() => undefined);
  await site.clock.advance(HOUR_MS - 1);
  assert.equal(lists, 0);
  await site.clock.advance(60_000);
  assert.equal(lists, 1);
  site.isUnderPressure = true;
  await site.clock.advance(600_000);
  assert.equal(lists, 2);
  site.isUnderPressure = false;
  await site.clock.advance(HOUR_MS);
  assert.equal(lists, 2);
  cleaner.diskIsFull();
  await site.clock.advance(1);
  assert.equal(lists, 3);
  await site.clock.advance(25 * HOUR_MS);
  assert.equal(lists, 4);
  controller.abort();
  await running;
});

test('ImageLedger keeps current and previous image of each service, whichever way it goes, over a restart', async () => {
  using scratch = makeScratch();
  const path = join(scratch.path, 'images.json');
  const site = new Site(path);
  site.pull('a', 'b', 'c');
  for (const present of [['a'], ['a', 'b'], ['b'], ['a'], ['c']]) {
    site.use('web', ...present);
  }
  await site.ledger.run(AbortSignal.abort());
  const next = new Site(path);
  await next.ledger.read();
  assert.deepEqual([...next.ledger.usedBy(new Set(['u1']))].toSorted(), ['sha256:a', 'sha256:c']);
  assert.deepEqual([...next.ledger.usedBy(new Set(['u2']))], []);
  assert.deepEqual([...next.ledger.pulled.keys()], ['sha256:a', 'sha256:b', 'sha256:c']);
});

test('ImageLedger counts a damaged file as empty', async () => {
  using scratch = makeScratch();
  const path = join(scratch.path, 'images.json');
  for (const text of ['{', '{"format":2}', '{"format":1,"pulled":{"sha256:a":["a"]}}', '{"format":1}', 'null']) {
    writeFileSync(path, text);
    const { ledger } = new Site(path);
    await ledger.read();
    assert.equal(ledger.pulled.size, 0);
  }
});
