import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildRegistration } from './registration.ts';

test('buildRegistration() says of all but the first of a process that it is a renewal', () => {
  const identity = { id: 'identity-1', bootId: 'boot-1', machine: undefined, isUnproven: () => false };
  const build = (hasRegistered: boolean) =>
    buildRegistration({ host: { hostname: 'edge', osImage: 'Debian' }, identity, standing: { hasRegistered } });
  const { info, ...first } = build(false);
  assert.deepEqual(first, { hostname: 'edge', identity: { id: 'identity-1', bootId: 'boot-1' } });
  assert.deepEqual([info?.osImage, typeof info?.agentVersion], ['Debian', 'string']);
  assert.equal(build(true).renewal, true);
});
