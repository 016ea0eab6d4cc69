import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { projectOf } from '../../../test/support/objects/resources.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import { NOTHING_HELD, takeList, type HeldRecord } from './held-projects.ts';

const BASE = 1_000;
const EPOCH: Epoch = { id: 'e1', restoredAt: '2027-01-02T00:00:00.000Z', backupAt: '2027-01-01T00:00:00.000Z', assignmentBase: BASE };

interface Traits {
  readonly uid?: string;
  readonly generation?: number;
  readonly assignment?: number;
  readonly image?: string;
  readonly deletedAt?: string;
}

function project(
  name: string,
  { uid = `uid-${name}`, generation = 1, assignment = 1, image = 'web:1', deletedAt }: Traits = {},
): ProjectObject {
  const made = projectOf(name);
  return {
    ...made,
    metadata: { ...made.metadata, uid, generation, ...(deletedAt !== undefined && { deletedAt }) },
    spec: { services: [{ name: 'web', image }] } as ProjectObject['spec'],
    status: { ...made.status, phase: 'Running', nodeRef: 'n1', assignment },
  };
}

const shown = (projects: readonly ProjectObject[]): readonly string[] =>
  projects
    .map(({ metadata, spec, status }) => `${metadata.name} ${metadata.uid} ${spec.services[0]?.image} ${status.assignment}`)
    .toSorted();

function first(known: readonly ProjectObject[], listed: readonly ProjectObject[], record: HeldRecord = NOTHING_HELD) {
  return takeList({ known, listed, epoch: EPOCH, record, isDelayOver: true });
}

function later(known: readonly ProjectObject[], listed: readonly ProjectObject[], record: HeldRecord) {
  return takeList({ known, listed, epoch: EPOCH, record, isDelayOver: true });
}

describe('takeList()', () => {
  it('takes a list as it is while nothing was restored, and in the same epoch what is not held', () => {
    const gone = takeList({
      known: [project('a'), project('b')],
      listed: [project('a')],
      epoch: undefined,
      record: NOTHING_HELD,
      isDelayOver: true,
    });
    assert.deepEqual(shown(gone.projects), ['a uid-a web:1 1']);
    const same = later([project('a'), project('b')], [project('a')], { epoch: 'e1', held: {} });
    assert.deepEqual([shown(same.projects), same.record.held], [['a uid-a web:1 1'], {}]);
  });

  it('holds what the restored state lacks, has older, has elsewhere, or has another of', () => {
    const known = [
      project('same'),
      project('lost'),
      project('newer', { generation: 5, image: 'web:5' }),
      project('moved', { assignment: 3 }),
      project('recreated', { uid: 'uid-2' }),
    ];
    const listed = [project('same'), project('newer', { generation: 3 }), project('moved', { assignment: 1 }), project('recreated')];
    const { projects, record } = first(known, listed);
    assert.deepEqual(shown(projects), shown(known));
    assert.deepEqual(Object.keys(record.held).toSorted(), ['lost', 'moved', 'newer', 'recreated']);
    assert.equal(record.held['lost'], null);
  });

  it('takes what the server has newer, or decided after the restore', () => {
    const known = [project('a'), project('b', { generation: 9 }), project('c'), project('d', { uid: 'uid-old' })];
    const listed = [
      project('a', { generation: 2, image: 'web:2' }),
      project('b', { generation: 3, image: 'web:3', assignment: BASE + 1 }),
      project('c', { deletedAt: '2027-01-02T01:00:00Z' }),
      project('d', { uid: 'uid-new', assignment: BASE + 2 }),
    ];
    const { projects, record } = first(known, listed);
    assert.deepEqual(shown(projects), shown(listed));
    assert.deepEqual(record.held, {});
  });

  it('lets go of a held Project when it is changed after the restore, or when it has become what runs here', () => {
    const here = project('a', { generation: 5, image: 'web:5' });
    const { record } = first([here], [project('a', { generation: 3, image: 'web:3' })]);
    assert.deepEqual(
      shown(later([here], [project('a', { generation: 3, image: 'web:3' })], record).projects),
      shown([here]),
      'nothing new',
    );
    const applied = project('a', { generation: 4, image: 'web:4' });
    const changed = later([here], [applied], record);
    assert.deepEqual([shown(changed.projects), changed.record.held], [shown([applied]), {}]);
    const adopted = project('a', { generation: 5, image: 'web:5' });
    assert.deepEqual(later([here], [adopted], record).record.held, {});
  });

  it('lets what it never ran wait, as it may run elsewhere by now; not what was placed after the restore', () => {
    const listed = [project('old'), project('new', { assignment: BASE + 1 })];
    const { projects, delayed, record } = first([], listed);
    assert.deepEqual([shown(projects), delayed], [['new uid-new web:1 1001'], ['old']]);
    const waiting = takeList({ known: projects, listed, epoch: EPOCH, record, isDelayOver: false });
    assert.deepEqual(waiting.delayed, ['old']);
    assert.deepEqual(shown(later(projects, listed, record).projects), shown(listed));
  });

  it('spares what stands unassigned where it knows of nothing before the restore', () => {
    const taken = takeList({ known: undefined, listed: [], epoch: EPOCH, record: NOTHING_HELD, isDelayOver: true });
    assert.equal(taken.record.isSparing, true);
    assert.equal(later([], [], taken.record).record.isSparing, true);
  });

  it('never lets go of anything on the first list of an epoch for want of it, whatever the list has', () => {
    const traits = fc.record({
      uid: fc.constantFrom('u1', 'u2'),
      generation: fc.integer({ min: 1, max: 4 }),
      assignment: fc.integer({ min: 1, max: 3 }),
      image: fc.constantFrom('web:1', 'web:2'),
    });
    const projects = fc
      .dictionary(fc.constantFrom('a', 'b', 'c'), traits)
      .map((map) => Object.entries(map).map(([name, rest]) => project(name, rest)));
    fc.assert(
      fc.property(projects, projects, (known, listed) => {
        const { projects: kept } = first(known, listed);
        for (const here of known) {
          const found = kept.find(({ metadata }) => metadata.name === here.metadata.name);
          const said = listed.find(({ metadata }) => metadata.name === here.metadata.name);
          assert.ok(found !== undefined, `${here.metadata.name} was let go of`);
          const isNewer =
            said !== undefined &&
            said.metadata.uid === here.metadata.uid &&
            (said.status.assignment > here.status.assignment ||
              (said.status.assignment === here.status.assignment && said.metadata.generation >= here.metadata.generation));
          assert.ok(isNewer || isDeepStrictEqual(found.spec, here.spec), `${here.metadata.name} was replaced by what is older`);
        }
      }),
    );
  });
});
