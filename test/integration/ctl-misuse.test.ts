import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ctl } from '../support/worlds/ctl.ts';
import { makeScratch } from '../support/scratch.ts';

describe('caractrl typed wrongly', () => {
  const cases: readonly (readonly [line: string, stderr: RegExp])[] = [
    ['gte nodes', /^error: Unknown command 'gte'\nhint: did you mean get\?\n$/u],
    ['ps', /^error: Unknown command 'ps'\nhint: caractrl get projects, or caractrl top services\n$/u],
    ['restart shop/web', /^error: Unknown command 'restart'\nhint: caractrl rollout restart PROJECT\[\/SERVICE\]\n$/u],
    ['edit project shop', /^error: Unknown command 'edit'\nhint: caractrl get project NAME -o yaml > FILE, /u],
    ['get nodes -o jsonpath={.items}', /^error: Cannot use --output .*\nhint: take what you need out of -o json, /u],
    ['apply shop.yaml db.yaml', /^error: Too many arguments .*\nhint: name files with -f: caractrl apply -f shop\.yaml -f db\.yaml\n$/u],
    ['get nodes -n default', /^error: Unknown option '-n'\nhint: leave it out: there are no namespaces/u],
    ['label node a x=y --overwrite', /^error: Unknown option '--overwrite'\nhint: leave it out: /u],
    ['get nodes --phse x', /^error: Unknown option '--phse'\nhint: did you mean --phase\?\n$/u],
    [
      'get',
      /^error: Cannot tell what to get as no resource type is given: known are nodes, projects, secrets, volumes, servers\nhint: caractrl get --help\n$/u,
    ],
    ['get pods', /^error: Unknown resource type "pods": known are nodes, projects, secrets, volumes, servers\n/u],
    [
      'get nope',
      /^error: Unknown resource type "nope": known are nodes, projects, secrets, volumes, servers\nhint: caractrl get --help\n$/u,
    ],
    [
      'delete nope x',
      /^error: Unknown resource type "nope": known are nodes, projects, secrets, volumes\nhint: caractrl delete --help\n$/u,
    ],
    ['describe nope x', /^error: Unknown resource type "nope": known are nodes, projects, secrets\nhint: caractrl describe --help\n$/u],
    ['label nope x a=b', /^error: Unknown resource type "nope": known are nodes, projects, secrets\n/u],
    ['top nope', /^error: Unknown resource type "nope": known are nodes, projects, services\n/u],
    [
      'describe shop',
      /^error: Cannot tell what "shop" is as no type stands before it: known are nodes, projects, secrets\nhint: caractrl describe project shop\n$/u,
    ],
    ['delete shop', /^error: Cannot tell what "shop" is as .*, volumes\nhint: caractrl delete project shop\n$/u],
    ['delete pods', /^error: Unknown resource type "pods"/u],
    ['-f compose.yaml up', /^error: Unknown option '-f'\nhint: caractrl apply -f FILE /u],
    ['--version', /^error: Unknown option '--version'\nhint: caractrl version\n$/u],
    ['delete project shop --now', /^error: Unknown option '--now'\nhint: the stopGracePeriod /u],
    ['create secret generic shop --from-env-file=.env', /^error: Unknown option .*\nhint: write --from-file KEY=FILE for each/u],
    ['apply -k .', /^error: Unknown option '-k'\nhint: kustomize build FOLDER \| caractrl apply -f -\n$/u],
    ['describe server a', /^error: Cannot use "server" here: it takes nodes, projects, secrets\nhint: caractrl get servers\n$/u],
    ['describe server/a', /^error: Cannot use "server" here: it takes nodes, projects, secrets\n/u],
    ['delete server a', /^error: Cannot use "server" here: it takes nodes, projects, secrets, volumes\n/u],
    ['get nodes,volumes', /^error: Cannot use "volumes" here: that comes alone, without other types\nhint: caractrl get volumes/u],
    ['get services', /^error: Cannot use "services" here: .*\nhint: .*caractrl top services/u],
    ['top secrets', /^error: Cannot use "secrets" here: it takes nodes, projects, services\n/u],
    ['cordon nope/a', /^error: Cannot cordon nope\/a as only nodes can be cordoned\n$/u],
    ['get nodes --phase Running', /^error: Cannot use --phase and --node with anything else/u],
    ['get projects --phase Flying', /^error: Cannot use --phase "Flying" as it must be one of Pending, /u],
    ['get nodes -o jsn', /^error: Cannot use --output "jsn" as it must be one of table, wide, json, yaml, name\n$/u],
    ['get nodes --output', /^error: Option .* argument missing\nhint: caractrl get --help\n$/u],
    ['events worker-01', /^error: Cannot show events of "worker-01" as .*\nhint: caractrl events node\/worker-01\n$/u],
    ['get nodes -l zone=!', /^error: Cannot read label selector as each part must be .*: current part is "zone=!"\n/u],
    ['describe projects -l =', /^error: Cannot read label selector /u],
    ['top nodes -l zone=a,,', /^error: Cannot read label selector /u],
    ['delete nodes', /^error: Cannot tell which nodes to delete as no name is given\nhint: caractrl delete node NAME\n$/u],
    ['apply', /^error: Cannot tell what to apply as no file is given\nhint: caractrl apply -f FILE\n$/u],
    ['apply -f x --timeout 30', /^error: Cannot use the duration "30" as it must have a unit/u],
    ['cordon project/x', /^error: Cannot cordon project\/x as only nodes can be cordoned\n$/u],
    ['label node a', /^error: Cannot tell what to label as no KEY=VALUE or KEY- is given\n/u],
    [
      '--server localhost:8080 get nodes',
      /^error: Cannot use --server as it must be a URL .*\nhint: did you mean http:\/\/localhost:8080\?\n$/u,
    ],
    ['--server', /^error: Option .* argument missing\n/u],
  ];
  for (const [line, stderr] of cases) {
    test(`\`${line}\` ends with 2 and says what is wrong`, async () => {
      const result = await ctl(line.split(' '));
      assert.equal(result.code, 2);
      assert.equal(result.stdout, '');
      assert.match(result.stderr, stderr);
    });
  }

  test('--help of the program and of each command goes to stdout, with examples', async () => {
    const help = await ctl(['--help']);
    assert.equal(help.code, 0);
    assert.deepEqual((await ctl([])).stdout, help.stdout);
    const verbs = [...help.stdout.matchAll(/^ {2}([a-z]+) {2,}[A-Z]/gmu)].map(([, verb]) => verb ?? '').filter((verb) => verb !== 'help');
    assert.ok(verbs.includes('apply') && verbs.includes('delete'), help.stdout);
    for (const verb of verbs) {
      const { code, stdout, stderr } = await ctl([verb, '--help']);
      assert.deepEqual([code, stderr], [0, ''], verb);
      assert.match(stdout, /\nExamples:\n {2}# .+\n {2}.*caractrl /u, verb);
      assert.match(stdout, /--server <url>/u, verb);
    }
  });
});

describe('caractrl without a server', () => {
  test('nothing listens: the URL, the cause and how to name another', async () => {
    const { code, stdout, stderr } = await ctl(['get', 'nodes'], { server: 'http://127.0.0.1:9' });
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(
      stderr,
      'error: Cannot reach the server at http://127.0.0.1:9 as nothing listens there (ECONNREFUSED)\n' +
        'hint: start cara-server there, or name another with --server URL or CARA_SERVER=URL\n',
    );
  });

  test('another program listens: said, not crashed on', async () => {
    const server = createServer((_, answer) => answer.end('<html>hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { code, stderr } = await ctl(['get', 'nodes'], { server: url });
      assert.equal(code, 1);
      assert.equal(stderr, `error: Cannot use the answer of ${url} as it is no JSON: another program may listen there\n`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('version --client needs none; version without one prints its own and fails', async () => {
    assert.deepEqual((({ code, stderr }) => [code, stderr])(await ctl(['version', '--client'])), [0, '']);
    const { code, stdout } = await ctl(['version'], { server: 'http://127.0.0.1:9' });
    assert.equal(code, 1);
    assert.match(stdout, /^caractrl +\d+\.\d+\.\d+\n$/u);
  });

  test('the config file names the server; a malformed one is refused with an example', async () => {
    using folder = makeScratch();
    const file = join(folder.path, 'config.yaml');
    const run = () => ctl(['get', 'nodes', '--config', file]);
    assert.match((await run()).stderr, /^error: Cannot read the config file .* as there is no such file or folder\n/u);
    writeFileSync(file, 'currentContext: home\ncontexts: [{ name: home, server: "http://127.0.0.1:9" }]\n');
    assert.match((await run()).stderr, /^error: Cannot reach the server at http:\/\/127\.0\.0\.1:9 /u);
    for (const [content, why] of [
      [
        'currentContext: home\ncontexts: [{ name: other, server: "http://x" }]\n',
        /currentContext names "home", which contexts does not have/u,
      ],
      ['contexts: nope\n', /contexts must be a list/u],
      ['a: [\n', /it is no YAML/u],
      ['currentContext: home\ncontexts: [{ name: home }]\n', /the context "home" has no server/u],
    ] as const) {
      writeFileSync(file, content);
      const { code, stderr } = await run();
      assert.notEqual(code, 0);
      assert.match(stderr, why);
      assert.match(stderr, /\nhint: write it like this:/u);
    }
  });
});
