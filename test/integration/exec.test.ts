/** caractrl exec: through a real server and a real agent to commands that a fake engine runs on this machine. Terminals: test/e2e/reach.test.ts. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { startCtl, Typed, type CtlOptions, type CtlResult, type CtlRun } from '../support/worlds/ctl.ts';

const NODE = 'worker-01';
/** where the agent does not listen, so that everything goes through the tunnel */
const ELSEWHERE = { NODE_IP: '127.0.0.2' };

interface World extends AsyncDisposable {
  readonly world: AgentWorld;
  exec(args: readonly string[], options?: CtlOptions): Promise<CtlResult>;
  start(args: readonly string[], options?: CtlOptions): CtlRun;
  /** of the only service's container */
  container(): string;
}

async function setUp(agentEnv: Readonly<Record<string, string>> = {}): Promise<World> {
  const world = await startAgentWorld({ agentEnv, heartbeatInterval: '200ms' });
  world.engine.addImage('web:1');
  await world.startAgent(NODE);
  const spec = { services: [{ name: 'web', image: 'web:1' }] };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
  await world.until('the Project to run', async () => (await world.client.projects.get('shop', FOREVER)).status.phase === 'Running');
  const runs: CtlRun[] = [];
  const start = (args: readonly string[], options: CtlOptions = {}): CtlRun => {
    const run = startCtl(['exec', ...args], { server: world.server().url, ...options });
    runs.push(run);
    return run;
  };
  return {
    world,
    start,
    exec: async (args, options) => await start(args, options).done,
    container: () => [...world.engine.state.containers.values()][0]?.id ?? assert.fail('there is no container'),
    [Symbol.asyncDispose]: async () => {
      runs.forEach((run) => run.interrupt());
      await Promise.all(runs.map(({ done }) => done));
      await world[Symbol.asyncDispose]();
    },
  };
}

describe('caractrl exec', () => {
  for (const [path, env] of [
    ['directly', {}],
    ['through the tunnel', ELSEWHERE],
  ] as const) {
    it(`exec passes on output, errors apart, and the exit code ${path}`, async () => {
      await using world = await setUp(env);
      const result = await world.exec(['shop/web', '--', 'sh', '-c', 'echo out; echo oops >&2; exit 42']);
      assert.deepEqual(result, { code: 42, stdout: 'out\n', stderr: 'oops\n' });
      assert.deepEqual(await world.exec(['shop', 'true']), { code: 0, stdout: '', stderr: '' });
      assert.equal((await world.exec(['-e', 'WORD=a b=c', 'shop/web', '--', 'sh', '-c', 'printf "%s" "$WORD"'])).stdout, 'a b=c');
    });

    it(`exec pipes every byte as it is ${path}, and tells the command where its input ends`, async () => {
      await using world = await setUp(env);
      const bytes = Buffer.alloc(3_000_000);
      for (let at = 0; at < bytes.length; at += 1) {
        bytes[at] = (at * 7 + (at >> 8)) & 0xff;
      }
      const typed = new Typed();
      const run = world.start(['-i', 'shop/web', '--', 'sha256sum'], { typed });
      typed.keys.end(bytes);
      const wanted = createHash('sha256').update(bytes).digest('hex');
      assert.deepEqual(await run.done, { code: 0, stdout: `${wanted}  -\n`, stderr: '' });
      const zeros = await world.exec(['shop/web', '--', 'head', '-c', '3000000', '/dev/zero']);
      assert.equal(Buffer.byteLength(zeros.stdout), 3_000_000);
    });

    it(`exec ends with a clear line ${path} when the agent, or the server, goes away meanwhile`, async () => {
      await using world = await setUp(env);
      const first = world.start(['shop/web', '--', 'sh', '-c', 'echo here; exec sleep 60']);
      await first.shows('here');
      await world.world.stopAgent();
      const { code, stderr } = await first.done;
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^error: Cannot tell how the command in shop\/web has ended: it was cut at node worker-01, or on the way there\nhint: /u,
      );
      await world.world.startAgent(NODE);
      await world.world.until('a way', async () => (await world.world.server().links.measure(NODE, FOREVER)).path !== 'none');
      const second = world.start(['shop/web', '--', 'sh', '-c', 'echo here; exec sleep 60']);
      await second.shows('here');
      await world.world.stopServer();
      assert.match((await second.done).stderr, /has ended: the server is stopping\n/u);
      await world.world.startServer();
    });
  }

  it('exec does not hold more than a window of what nobody reads', async () => {
    await using world = await setUp();
    const typed = new Typed();
    world.start(['-i', 'shop/web', '--', 'sh', '-c', 'exec sleep 60'], { typed }); // takes no input
    let taken = 0;
    const chunk = Buffer.alloc(64 * 1024);
    new Readable({
      read() {
        taken += chunk.length;
        this.push(taken < 512 * chunk.length ? chunk : null);
      },
    }).pipe(typed.keys);
    let before = -1;
    await world.world.until('the input to be held up', () => {
      const isStill = before === taken;
      before = taken;
      return taken > 8 * chunk.length && isStill;
    });
    assert.ok(taken < 16 * 1024 * 1024, `${taken} bytes were taken`);
  });

  it('exec gives a terminal its size, its keys as they are, and the screen back on the way out', async () => {
    await using world = await setUp();
    const typed = new Typed();
    const terminal = { columns: 91, rows: 23 };
    const run = world.start(['-it', 'shop/web', '--', 'sh', '-c', 'echo ready; exec cat'], { typed, terminal });
    await run.shows('ready');
    const [exec] = [...world.world.engine.execs.all.values()];
    assert.equal(exec?.body.Tty, true);
    await world.world.until('the first size', () => exec?.sizes.includes('91x23'));
    Object.assign(terminal, { columns: 120, rows: 40 });
    typed.resized();
    await world.world.until('the next size', () => exec?.sizes.includes('120x40'));
    typed.keys.write(Buffer.from([3, 0xff, 0x41]));
    await run.shows('A');
    assert.deepEqual(typed.rawModes, [true]);
    typed.keys.end();
    assert.equal((await run.done).code, 0);
    assert.deepEqual(typed.rawModes, [true, false]);
  });

  it('exec leaves the command running when the keys for that are typed, and ends it otherwise', async () => {
    await using world = await setUp();
    const typed = new Typed();
    const terminal = { columns: 80, rows: 24 };
    const run = world.start(['-it', 'shop/web', '--', 'sh', '-c', 'echo ready; exec cat'], { typed, terminal });
    await run.shows('ready');
    typed.keys.write(Buffer.from([0x10, 0x11]));
    const { code, stderr } = await run.done;
    assert.deepEqual([code, stderr, typed.rawModes], [0, '\nsh runs on in shop/web\n', [true, false]]);
    const [exec] = [...world.world.engine.execs.all.values()];
    assert.equal(exec?.child?.exitCode, null);

    const other = new Typed();
    const left = world.start(['-it', 'shop/web', '--', 'sh', '-c', 'echo ready; exec cat'], { typed: other, terminal });
    await left.shows('ready');
    left.interrupt(); // as by kill
    assert.deepEqual([(await left.done).code, other.rawModes], [130, [true, false]]);
    const second = [...world.world.engine.execs.all.values()][1];
    await world.world.until('its input to end, and it with that', () => second?.child?.exitCode === 0);
  });

  it('exec says what is wrong, and what would mend it', async () => {
    await using world = await setUp();
    const refusal = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await world.exec(args);
      assert.equal(stdout, '');
      return `${code} ${stderr.trim().replaceAll('\n', ' | ')}`;
    };
    assert.equal(
      await refusal('shop/web', '--', 'nosh'),
      '127 error: Cannot run nosh in shop/web as there is no such program nosh in the image: name one that is there',
    );
    assert.match(await refusal('shop/nope', '--', 'ls'), /^1 error: Cannot find service "nope" in project "shop": its services are web$/u);
    assert.match(await refusal('nope/web', '--', 'ls'), /^1 error: Cannot find project "nope"/u);
    assert.match(await refusal('shop/web'), /^2 .*no command is given/u);
    assert.match(await refusal('shop/web', 'sh', '-c', 'ls'), /^2 error: Unknown option '-c' \| hint: put -- before the command/u);
    assert.match(await refusal('-it', 'shop/web', '--', 'sh'), /^2 error: .*standard input is none: leave out -t/u);
    assert.match(await refusal('-e', 'x', 'shop/web', '--', 'sh'), /^2 .*NAME=VALUE/u);
    assert.match(await refusal('shop/web', '--', 'echo', 'x'.repeat(20_000)), /^1 .*at most 12000 fit: .* with -i/u);
    world.world.engine.fail({
      on: 'POST /containers/*/exec',
      answer: { status: 409, message: 'Container x is paused, unpause the container before exec' },
    });
    assert.match(
      await refusal('shop/web', '--', 'ls'),
      /^1 error: Cannot run a command in shop\/web as the engine says: Container x is paused/u,
    );
    await world.world.stopAgent();
    await world.world.until('NotReady', async () => (await world.world.client.nodes.get(NODE, FOREVER)).status.state === 'NotReady');
    assert.match(
      await refusal('shop/web', '--', 'ls'),
      /^1 error: Cannot reach node "worker-01" as it is NotReady, it is silent since .* ago\).*: its containers may/u,
    );
  });

  it('exec says why a container does not run', async () => {
    await using world = await setUp();
    world.world.engine.fail({ on: 'POST /containers/*/start', times: 1000, answer: { status: 500, message: 'no' } });
    world.world.engine.state.exitContainer(world.container(), 3);
    const { code, stderr } = await world.exec(['shop/web', '--', 'ls']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: Cannot run a command in shop\/web as its container does not run: it is exited, ended with exit code 3 at /u,
    );
  });
});

it('two hundred commands at once on one agent all end as they should', async () => {
  await using world = await setUp(ELSEWHERE);
  const server = world.world.server().url;
  const runs: { readonly code: number; readonly typed: Typed; readonly run: CtlRun }[] = [];
  while (runs.length < 200) {
    // Ten begin together, so that none runs into its time-out where the machine is slow; all go on together.
    const begun = Array.from({ length: 10 }, (_, n) => {
      const code = (runs.length + n) % 100;
      const typed = new Typed();
      const args = ['exec', '-i', 'shop/web', '--', 'sh', '-c', `echo up; read x; exit ${code}`];
      return { code, typed, run: startCtl(args, { server, typed, limitMs: 200_000 }) };
    });
    await Promise.all(begun.map(async ({ run }) => await run.shows('up')));
    runs.push(...begun);
  }
  runs.forEach(({ typed }) => typed.keys.end('go\n'));
  assert.deepEqual(
    await Promise.all(runs.map(async ({ run }) => await run.done)),
    runs.map(({ code }) => ({ code, stdout: 'up\n', stderr: '' })),
  );
});
