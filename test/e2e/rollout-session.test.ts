/** A user's session of changes with the real programs. Run with: npm run test:e2e -- rollout-session */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { nodeInState } from '../support/programs/seen.ts';

const HOST = testEngine();
const CHECK = ['CMD', '/bin/busybox', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1:8080/'];
const WEB = {
  name: 'web',
  image: IMAGES.v1.tag,
  command: ['greeter'],
  healthCheck: { test: CHECK, interval: '1s', retries: 2 },
  stopGracePeriod: '1s',
};
const DB = {
  name: 'db',
  image: IMAGES.v1.tag,
  entrypoint: ['/bin/sh', '-c'],
  command: ['trap "exit 0" TERM; echo up; while :; do sleep 0.2; done'],
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
  stopGracePeriod: '1s',
};

function shop(web: object = {}, db: object = {}): string {
  const spec = {
    services: [
      { ...WEB, ...web },
      { ...DB, ...db },
    ],
    volumes: [{ name: 'data' }],
  };
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'ros-shop' }, spec });
}

test('a change that fails ends with its cause, the old version runs, and history, undo, restart and status do what they say', async () => {
  using scratch = makeScratch();
  await using server = await startServer();
  const settings = { serverUrl: server.url, engineHost: HOST, nodeName: 'worker-01', dataDir: path.join(scratch.path, 'agent') };
  let agent = await startAgent(settings);
  const run = async (line: string, input?: string) => {
    const result = await caractrl(line.split(' '), { server: server.url, ...(input !== undefined && { input }) });
    if (process.env['CARA_TEST_SHOW'] !== undefined) {
      process.stdout.write(`$ caractrl ${line}\n${result.stdout}${result.stderr}-> ${result.code}\n\n`);
    }
    return result;
  };
  const ids = async (): Promise<readonly (string | undefined)[]> => {
    const { containers } = await contentsOf(HOST, 'cara_ros-shop');
    return [containers['cara_ros-shop_web'], containers['cara_ros-shop_db']];
  };
  try {
    await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
    assert.equal((await run('apply -f - --wait', shop())).code, 0);
    const first = await ids();

    const failed = await run(
      'apply -f - --wait',
      shop(
        { command: undefined, entrypoint: ['/bin/sh', '-c', 'echo no till in sight; exec sleep 600'] },
        { env: [{ name: 'A', value: '1' }] },
      ),
    );
    assert.equal(failed.code, 1);
    assert.match(
      failed.stderr,
      /error: Cannot change project "ros-shop": Generation 2 was rolled back to 1 as service "web" failed: Its health check fails/u,
    );
    assert.match(failed.stderr, /\nThe last lines of its log:\n {2}no till in sight\nhint: caractrl rollout history ros-shop\n$/u);
    await until(async () => (await ids())[1] === first[1], { what: 'the database to be the old one again', timeoutMs: 60_000 });
    assert.deepEqual(await ids(), first);
    assert.match((await run('describe project ros-shop')).stdout, /Progressing +False +RolledBack/u);
    assert.equal((await run('rollout status ros-shop')).code, 1);

    const crashing = await run('apply -f - --wait', shop({}, { command: ['echo cannot read /data; exit 3'] }));
    assert.equal(crashing.code, 1);
    assert.match(crashing.stderr, /service "db" failed: The container ended with code 3;[^]*\n {2}cannot read \/data\n/u);
    await until(async () => (await ids())[1] === first[1], { what: 'the database to be the old one again', timeoutMs: 60_000 });

    const missing = await run('apply -f - --wait', shop({ image: 'localhost:1/none:1' }));
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /localhost:1\/none:1/u);
    assert.deepEqual(await ids(), first);

    const undone = await run('rollout undo ros-shop --wait');
    assert.equal(undone.code, 0, undone.stderr);
    assert.equal(
      undone.stdout,
      'project/ros-shop goes back to revision 1 (as revision 5)\nproject/ros-shop runs revision 5 on worker-01\n',
    );
    assert.deepEqual(await ids(), first);

    const history = await run('rollout history project/ros-shop');
    assert.deepEqual(
      history.stdout
        .split('\n')
        .slice(1, -1)
        .map((row) => row.split(/ {2,}/u).filter((_, column) => column !== 3)),
      [
        ['1', 'Good', '-', 'create'],
        ['2', 'RolledBack', '-', 'apply'],
        ['3', 'RolledBack', '-', 'apply'],
        ['4', 'Failed', '-', 'apply'],
        ['5', 'Good', 'asked for, runs', 'undo to revision 1'],
      ],
      history.stdout,
    );
    assert.match((await run('rollout history ros-shop --revision 4')).stdout, /image: localhost:1\/none:1/u);

    assert.equal((await run('rollout restart ros-shop/web --wait')).code, 0);
    const restarted = await ids();
    assert.notEqual(restarted[0], first[0]);
    assert.equal(restarted[1], first[1]);

    // killed in the midst of a change that fails
    await run('apply -f -', shop({ image: IMAGES.v2.tag }, { command: ['exit 4'] }));
    await until(
      async () =>
        (await callEngineJson({ host: HOST, path: '/containers/cara_ros-shop_web_next/json' }).catch(() => undefined)) !== undefined,
      {
        what: 'the new version to stand beside the old one',
        timeoutMs: 60_000,
      },
    );
    await agent.kill();
    agent = await startAgent(settings);
    const end = await run('rollout status ros-shop --timeout 50s');
    assert.match(end.stderr, /Generation 7 was rolled back to 6/u);
    await until(async () => (await ids())[1] === first[1], { what: 'the database to be the old one again', timeoutMs: 60_000 });
    assert.equal((await run('rollout undo ros-shop --wait')).code, 0);
    const { containers } = await contentsOf(HOST, 'cara_ros-shop');
    assert.deepEqual(Object.keys(containers).toSorted(), ['cara_ros-shop_db', 'cara_ros-shop_web']);
    for (const line of [
      'rollout',
      'rollout undo',
      'rollout undo ros-shop --to-revision x',
      'rollout history nodes/a',
      'rollout status a b',
    ]) {
      assert.equal((await run(line)).code, 2, line);
    }
    assert.equal((await run('rollout undo ros-shop --to-revision 99')).code, 1);
    assert.equal((await run('rollout restart ros-shop/none')).code, 1);
    assert.equal((await run('rollout history none')).code, 1);
    assert.equal((await run('rollout history ros-shop -o yaml')).code, 0);
  } finally {
    await run('delete project ros-shop --wait');
    await agent[Symbol.asyncDispose]();
  }
});
