import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SecretObject } from '../../api/secret.ts';
import type { UsedSecret } from '../../api/project.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { knowsSecrets } from './known-secrets.ts';

const project = makeProject();
const SECRET: SecretObject = {
  apiVersion: 'caravanserai/v1',
  kind: 'Secret',
  metadata: { ...project.metadata, name: 'shop' },
  type: 'Opaque',
  status: { keys: [{ name: 'password', size: 1, fingerprint: 'new' }], fingerprint: 'all-new' },
};
const knows = (used: Partial<UsedSecret>, secret = SECRET): boolean =>
  knowsSecrets({ ...project, status: { ...project.status, secrets: [{ name: 'shop', keys: [], ...used }] } }, [secret]);

test('knowsSecrets() is true once every key, and the whole where it is used, are what was applied', () => {
  assert.equal(knows({ keys: [{ name: 'password', fingerprint: 'new' }] }), true);
  assert.equal(knows({ keys: [{ name: 'password', fingerprint: 'old' }] }), false);
  assert.equal(knows({ fingerprint: 'all-new' }), true);
  assert.equal(knows({ fingerprint: 'all-old' }), false);
  assert.equal(knows({ missing: true }), false);
});

test('knowsSecrets() takes a key that the Secret does not have for known when it is called missing, and minds no other Secret', () => {
  assert.equal(knows({ keys: [{ name: 'other', missing: true, fingerprint: 'old' }] }), true);
  assert.equal(knows({ keys: [{ name: 'other', fingerprint: 'old' }] }), false);
  assert.equal(knows({ name: 'elsewhere', missing: true }), true);
  assert.equal(knowsSecrets(project, [SECRET]), true);
});
