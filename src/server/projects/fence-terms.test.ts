import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundOf, projectOf } from '../../../test/support/objects/resources.ts';
import { durationToMs } from '../../api/duration.ts';
import { deriveFenceTerms } from '../../api/project/fence.ts';
import type { ProjectSpec, ProjectStatus } from '../../api/project.ts';
import { fenceHoldMs, longestHoldMs, withTermsOfBinding, withTermsOfEdit, withTermsOfReport } from './fence-terms.ts';

function specOf(after: string, fence = true): ProjectSpec {
  return projectOf('shop', { spec: { onNodeLost: { action: 'Reschedule', after, fence } } }).spec;
}

const bound = boundOf('shop', 'n1').status;

test('withTermsOfEdit() keeps the longest after that the agent may know of until it has confirmed the present one', () => {
  const first = withTermsOfBinding(bound, specOf('10m'));
  assert.deepEqual(first.fence, { after: '10m' });
  const shorter = withTermsOfEdit(first, specOf('1m'));
  assert.deepEqual(shorter.fence, { after: '10m' });
  assert.deepEqual(withTermsOfEdit(shorter, specOf('30m')).fence, { after: '30m' });
  assert.deepEqual(withTermsOfReport(shorter, specOf('1m')).fence, { after: '1m' });
});

test('withTermsOfEdit() knows nothing of an agent that may not have heard of the fence, until all of it runs', () => {
  const added = withTermsOfEdit(bound, specOf('1m'));
  assert.deepEqual(added.fence, {});
  assert.equal(fenceHoldMs({ ...boundOf('shop', 'n1'), status: added }), Infinity);
  assert.deepEqual(withTermsOfReport({ ...added, phase: 'Scheduled' }, specOf('1m')).fence, {}, 'old containers may be left');
  assert.deepEqual(withTermsOfReport({ ...added, phase: 'Running' }, specOf('1m')).fence, { after: '1m' });
  assert.equal(withTermsOfEdit(added, specOf('1m', false)).fence, undefined);
});

test('fenceHoldMs() law: never shorter than what an agent goes by that has heard of some of the edits', () => {
  const edit = fc.record({
    minutes: fc.integer({ min: 1, max: 30 }),
    isFenced: fc.boolean(),
    isHeard: fc.boolean(),
    isReported: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), (edits) => {
      let spec = specOf('5m');
      let status: ProjectStatus = withTermsOfBinding(bound, spec);
      let known = spec; // by the agent, whose containers are what it knows
      for (const { minutes, isFenced, isHeard, isReported } of edits) {
        spec = specOf(`${minutes}m`, isFenced);
        status = withTermsOfEdit(status, spec);
        known = isHeard ? spec : known;
        if (isHeard && isReported) {
          status = withTermsOfReport({ ...status, phase: 'Running' }, spec);
        }
        if (deriveFenceTerms(spec) !== undefined) {
          const agentMs = deriveFenceTerms(known)?.afterMs ?? Infinity;
          assert.ok(fenceHoldMs({ ...boundOf('shop', 'n1'), status }) >= agentMs, `${JSON.stringify(status.fence)} for ${agentMs}`);
        }
      }
    }),
  );
});

test('longestHoldMs() looks at the fenced Projects of the node alone', () => {
  const fenced = (name: string, node: string, after: string) =>
    boundOf(name, node, { spec: { onNodeLost: { after, fence: true } }, status: { fence: { after } } });
  const projects = [fenced('a', 'n1', '2m'), fenced('b', 'n1', '5m'), fenced('c', 'n2', '9m'), boundOf('d', 'n1')];
  assert.equal(longestHoldMs(projects, 'n1'), durationToMs('5m'));
  assert.equal(longestHoldMs(projects, 'n3'), 0);
  assert.equal(longestHoldMs([boundOf('e', 'n1', { spec: { onNodeLost: { fence: true } } })], 'n1'), Infinity);
});
