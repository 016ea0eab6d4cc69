import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CtlError } from '../ctl-error.ts';
import { readManifests } from './manifest-file.ts';

const NODE = 'apiVersion: caravanserai/v1\nkind: Node\nmetadata: { name: a }\n';

function failureOf(text: string, file = 'x.yaml'): CtlError {
  try {
    readManifests([{ file, text }]);
  } catch (error) {
    assert.ok(error instanceof CtlError);
    return error;
  }
  return assert.fail('nothing was thrown');
}

test('readManifests() gives every document with its type, name and place', () => {
  const manifests = readManifests([{ file: 'x.yaml', text: `${NODE}---\n${NODE.replace('name: a', 'name: b')}` }]);
  assert.deepEqual(
    manifests.map((manifest) => [manifest.type, manifest.name, manifest.locate('/metadata/name').line]),
    [
      ['node', 'a', 3],
      ['node', 'b', 7],
    ],
  );
});

test('readManifests() takes each kind for what it is, so that a Secret is sent as one', () => {
  const secret = 'apiVersion: caravanserai/v1\nkind: Secret\nmetadata: { name: a }\nstringData: { key: value }\n';
  const project = NODE.replace('Node', 'Project') + 'spec: { services: [{ name: web, image: a:1 }] }\n';
  const manifests = readManifests([{ file: 'x.yaml', text: [NODE, secret, project].join('---\n') }]);
  assert.deepEqual(
    manifests.map(({ type }) => type),
    ['node', 'secret', 'project'],
  );
});

test('readManifests() names file, line, column, field and what would be right, all mistakes at once', () => {
  const text = `apiVersion: caravanserai/v1
kind: Project
metadata: { name: Shop }
spec:
  services:
    - name: web
      image: a:1
      ports: [{ containerPort: 80, hostPort: 70000 }]
      resources: { limits: { memory: 4gb } }
      env: [{ name: PORT, value: 8080 }]
`;
  const { message, details } = failureOf(text);
  assert.equal(message, 'Cannot use x.yaml as there are 4 mistakes; nothing was changed');
  assert.match(details[0] ?? '', /^x\.yaml:3:19: \/metadata\/name must be a DNS subdomain: .* current value is "Shop"$/u);
  assert.match(details[1] ?? '', /^x\.yaml:8:46: .*hostPort must be a port number from 1 to 65535: current value is 70000$/u);
  assert.match(details[2] ?? '', /^x\.yaml:9:38: .*memory must be a quantity: .* current value is "4gb"; write 4Gi$/u);
  assert.equal(details[3], 'x.yaml:10:34: /spec/services/0/env/0/value must be text: quote it, as in "8080"');
});

test('readManifests() says in one line what one mistake is', () => {
  const cases = [
    [NODE.replace('Node', 'Nod'), 'x.yaml:2:7: /kind must be one of Node, Project, Secret: current value is "Nod"'],
    [NODE.replace('caravanserai/v1', 'v1'), 'x.yaml:1:13: /apiVersion must be caravanserai/v1: current value is "v1"'],
    [NODE.replace('{ name: a }', '{ labels: {} }'), 'x.yaml:3:1: /metadata/name is required'],
    [
      NODE.replace('{ name: a }', '{ name: a, labels: { on: true } }'),
      'x.yaml:3:36: /metadata/labels/on must be text: quote it, as in "true"',
    ],
    ['', 'x.yaml:1:1: the file is empty'],
    ['# only words\n', 'x.yaml:1:1: the file has no document but comments'],
    [`${NODE}---\n${NODE}`, 'x.yaml:7:19: /metadata/name names the node "a" a second time: the first is in x.yaml, line 3'],
  ] as const;
  for (const [text, expected] of cases) {
    assert.equal(failureOf(text).message, expected);
  }
});

test('readManifests() takes what `get -o json` prints of several', () => {
  const list = JSON.stringify({
    apiVersion: 'caravanserai/v1',
    kind: 'NodeList',
    items: [{ apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'a' } }],
  });
  assert.deepEqual(
    readManifests([{ file: 'x.json', text: list }]).map(({ name }) => name),
    ['a'],
  );
  assert.match(failureOf(list.replace('"a"', '"A"')).message, /^x\.yaml:1:\d+: \/items\/0\/metadata\/name must be a DNS subdomain/u);
});

test('readManifests() shows no more mistakes than a person reads', () => {
  const { details } = failureOf('---\na: 1\n'.repeat(200));
  assert.equal(details.length, 51);
  assert.equal(details.at(-1), '… and 150 more');
});
