import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn } from '../support/worlds/api.ts';
import { ctl } from '../support/worlds/ctl.ts';

const HEAD = 'apiVersion: caravanserai/v1\n';
const shop = (image: string, labels = '{ team: web }'): string =>
  `${HEAD}kind: Project\nmetadata: { name: shop, labels: ${labels} }\nspec:\n  services:\n    - { image: ${image}, name: web, env: [{ name: A, value: x }] }\n`;

test('diff shows what an apply would change, changes nothing, and tells by its exit code', async () => {
  await using api = await startApiOn({ clock: systemClock, listen: true });
  const server = api.server.url;
  const diff = (stdin: string) => ctl(['diff', '-f', '-'], { server, stdin });

  const fresh = await diff(shop('web:1'));
  assert.deepEqual([fresh.code, fresh.stderr], [1, '']);
  assert.match(fresh.stdout, /^--- project\/shop \(not there yet\)\n\+\+\+ project\/shop as it would be\n@@ .* @@\n(?:\+.*\n)+$/u);
  assert.equal((await api.call('GET', '/projects/shop')).status, 404);

  assert.equal((await ctl(['apply', '-f', '-'], { server, stdin: shop('web:1') })).code, 0);
  assert.deepEqual(await diff(shop('web:1')), { code: 0, stdout: '', stderr: '' });
  const reordered = `${HEAD}spec: { services: [{ env: [{ value: x, name: A }], name: web, image: 'web:1' }] }\nmetadata: { name: shop }\nkind: Project\n`;
  assert.deepEqual(await diff(reordered), { code: 0, stdout: '', stderr: '' }, 'labels that are left out stay');

  const changed = await diff(shop('web:2', '{ team: null, tier: front }'));
  assert.equal(changed.code, 1);
  const lines = changed.stdout.split('\n').filter((line) => /^[+-] /u.test(line));
  assert.deepEqual(lines.toSorted(), ['+      image: web:2', '+    tier: front', '-      image: web:1', '-    team: web']);
  assert.equal((await api.call('GET', '/projects/shop')).body.spec.services[0].image, 'web:1');
});

test('diff of a Node merges, of a Secret compares keys alone; a failure ends with 2', async () => {
  await using api = await startApiOn({ clock: systemClock, listen: true });
  const server = api.server.url;
  const diff = (stdin: string) => ctl(['diff', '-f', '-'], { server, stdin });
  const node = (spec: string): string => `${HEAD}kind: Node\nmetadata: { name: worker-01 }\nspec: ${spec}\n`;
  const secret = (data: string): string => `${HEAD}kind: Secret\nmetadata: { name: shop }\nstringData: ${data}\n`;
  assert.equal(
    (await ctl(['apply', '-f', '-'], { server, stdin: `${node('{ hostname: a.local }')}---\n${secret('{ password: hunter22 }')}` })).code,
    0,
  );

  assert.deepEqual(await diff(node('{ unschedulable: false }')), { code: 0, stdout: '', stderr: '' });
  assert.match((await diff(node('{ unschedulable: true }'))).stdout, /^ {3}hostname: a\.local\n\+ {2}unschedulable: true$/mu);

  const said = await diff(secret('{ password: other-value, token: t0 }'));
  assert.equal(said.code, 1);
  assert.match(said.stdout, /^\+ {2}- token$/mu);
  assert.match(said.stderr, /^note: of Secrets the keys are compared and not the values/u);
  assert.doesNotMatch(said.stdout, /hunter22|other-value/u);

  assert.equal((await diff('kind: Nod\n')).code, 2);
  assert.equal((await ctl(['diff', '-f', '-'], { server: 'http://127.0.0.1:9', stdin: shop('web:1') })).code, 2);
  assert.equal((await ctl(['diff'], { server })).code, 2);
});
