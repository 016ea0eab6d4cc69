import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { ctl, startCtl } from '../support/worlds/ctl.ts';

const SPEC = { spec: { services: [{ name: 'web', image: 'shop/web:3' }] } };

/** Two Projects, a Secret and a node of team web, and a Project of another. */
async function startFleet(): Promise<ApiServer> {
  const api = await startApiOn({ clock: systemClock, listen: true });
  for (const [name, team] of [
    ['shop', 'web'],
    ['blog', 'web'],
    ['mail', 'post'],
  ] as const) {
    await api.apply('Project', name, { ...SPEC, metadata: { name, labels: { team } } });
  }
  await api.apply('Node', 'worker-01', { metadata: { name: 'worker-01', labels: { team: 'web' } } });
  const secret = {
    apiVersion: 'caravanserai/v1',
    kind: 'Secret',
    metadata: { name: 'shop', labels: { team: 'web' } },
    stringData: { a: 'b' },
  };
  assert.equal((await api.call('POST', '/secrets', { body: secret })).status, 201);
  return api;
}

const namesOf = async (api: ApiServer, plural: string): Promise<readonly string[]> =>
  ((await api.call('GET', `/${plural}`)).body.items as readonly { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);

describe('caractrl delete -l', () => {
  test('deletes what the types named have of these labels, and nothing else', async () => {
    await using api = await startFleet();
    const run = (line: string) => ctl(line.split(' '), { server: api.server.url });
    assert.deepEqual(await run('delete projects -l team=web --dry-run'), {
      code: 0,
      stdout: 'project/blog would be deleted (dry run)\nproject/shop would be deleted (dry run)\n',
      stderr: '',
    });
    assert.deepEqual(await namesOf(api, 'projects'), ['blog', 'mail', 'shop']);
    assert.deepEqual(await run('delete projects -l team=web'), {
      code: 0,
      stdout: 'project/blog deleted\nproject/shop deleted\n',
      stderr: '',
    });
    assert.deepEqual(await namesOf(api, 'projects'), ['mail']);
    assert.deepEqual([await namesOf(api, 'secrets'), await namesOf(api, 'nodes')], [['shop'], ['worker-01']]);
    assert.equal((await run('delete secret,proj --selector team -o name')).stdout, 'project/mail\nsecret/shop\n');
  });

  test('says that nothing matches, and where labels are to be seen', async () => {
    await using api = await startFleet();
    const run = (line: string) => ctl(line.split(' '), { server: api.server.url });
    assert.deepEqual(await run('delete projects,secrets -l team=wbe'), {
      code: 1,
      stdout: '',
      stderr:
        'error: Cannot delete any projects or secrets as none matches the labels team=wbe\nhint: caractrl get projects,secrets --show-labels\n',
    });
    assert.deepEqual(await run('delete projects -l team=wbe --ignore-not-found'), { code: 0, stdout: '', stderr: '' });
  });

  const refused: readonly (readonly [args: readonly string[], stderr: RegExp])[] = [
    [['projects', '-l', ''], /^error: Cannot delete by an empty --selector as that selects everything\nhint: .* -l team=web\n$/u],
    [['projects', '-l', ' '], /^error: Cannot delete by an empty --selector /u],
    [['all', '-l', 'team=web'], /^error: Cannot delete by labels from all types at once: name the types\nhint: caractrl delete projects,/u],
    [['project', 'shop', '-l', 'team=web'], /^error: Cannot both name resources and select them: /u],
    [['-f', 'x.yaml', '-l', 'team=web'], /^error: Cannot take both --selector and -f: /u],
    [['-l', 'team=web'], /^error: Cannot tell what to delete as no resource type is given: /u],
    [
      ['volumes', '-l', 'team=web'],
      /^error: Cannot select volumes by labels: name each, as its data goes for good\nhint: caractrl get volumes\n$/u,
    ],
    [['projects,volumes', '-l', 'team=web'], /^error: Cannot use "volumes" here: that comes alone/u],
  ];
  for (const [args, stderr] of refused) {
    test(`delete ${args.join(' ')} is refused and deletes nothing`, async () => {
      const result = await ctl(['delete', ...args], { server: 'http://127.0.0.1:9' });
      assert.deepEqual([result.code, result.stdout], [2, '']);
      assert.match(result.stderr, stderr);
    });
  }
});

test('delete --dry-run only tells, of what is there by name and of volumes too', async () => {
  await using api = await startFleet();
  const volumes = [{ name: 'cara_shop_data', project: 'shop', projectUid: 'u', volume: 'data', type: 'Managed' }];
  assert.equal((await api.call('PUT', '/nodes/worker-01/volumes', { body: { volumes } })).status, 204);
  const run = (line: string) => ctl(line.split(' '), { server: api.server.url });
  assert.deepEqual(await run('delete volume worker-01/cara_shop_data --dry-run'), {
    code: 0,
    stdout: 'volume/worker-01/cara_shop_data would be deleted with its data (dry run)\n',
    stderr: '',
  });
  assert.equal((await api.call('GET', '/nodes/worker-01/volumes/cara_shop_data')).body.status.deletion, undefined);
  const { code, stdout, stderr } = await run('delete project shop nope --dry-run=client');
  assert.deepEqual([code, stdout, stderr], [1, 'project/shop would be deleted (dry run)\n', 'error: project "nope" not found\n']);
  assert.deepEqual(await namesOf(api, 'projects'), ['blog', 'mail', 'shop']);
});

test('get --watch says at once that what is named is not there yet', async () => {
  await using api = await startFleet();
  const watching = startCtl(['get', 'project', 'shpo', '-w'], { server: api.server.url });
  await watching.shows('project "shpo" not found; waiting for it');
  await api.apply('Project', 'shpo', SPEC);
  await watching.shows('shpo   Pending');
  watching.interrupt();
  assert.equal((await watching.done).code, 130);
});
