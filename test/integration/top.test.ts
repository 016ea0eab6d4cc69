/** caractrl top with agents: what is used, from a fake engine through a real agent and a real server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { ctl, startCtl } from '../support/worlds/ctl.ts';

const NODE = 'worker-01';
const ESCAPE = String.fromCharCode(27);

async function setUp(): Promise<AgentWorld> {
  const world = await startAgentWorld({ heartbeatInterval: '200ms' });
  world.engine.addImage('web:1');
  // a tenth of a CPU, and a kilobyte a second; counted by the engine, and so not exact to the millisecond
  world.engine.state.stats.set('cara_shop_web', {
    get cpu_stats() {
      return { cpu_usage: { total_usage: performance.now() * 100_000 } };
    },
    get networks() {
      return { eth0: { rx_bytes: performance.now(), tx_bytes: 0 } };
    },
    memory_stats: { usage: 3 * 2 ** 20, limit: 6 * 2 ** 20, stats: { total_inactive_file: 2 ** 20 } },
    blkio_stats: { io_service_bytes_recursive: [{ op: 'Read', value: 0 }] },
  });
  await world.startAgent(NODE);
  const spec = { services: ['web', 'db'].map((name) => ({ name, image: 'web:1' })) };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
  await world.until('the Project to run', async () => (await world.client.projects.get('shop', FOREVER)).status.phase === 'Running');
  return world;
}

function cellsOf(stdout: string): readonly (readonly string[])[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/u));
}

describe('caractrl top', () => {
  it('top services tells what each uses, and - for what the engine does not know', async () => {
    await using world = await setUp();
    const run = async (line: string) => await ctl(`top ${line}`.split(' '), { server: world.server().url });
    const { stdout, stderr } = await run('services --sort-by memory');
    assert.equal(stderr, '');
    const [header, web, db] = cellsOf(stdout);
    assert.deepEqual(header, ['NAME', 'STATE', 'NODE', 'CPU', 'MEMORY', 'LIMIT', '%', 'NET IN', 'NET OUT', 'DISK READ', 'DISK WRITE']);
    assert.deepEqual([...(web?.slice(0, 3) ?? []), ...(web?.slice(4, 7) ?? [])], ['shop/web', 'Running', NODE, '2Mi', '6Mi', '33%']);
    assert.match(web?.[3] ?? '', /^\d+m$/u);
    assert.deepEqual(web?.slice(8), ['0/s', '0/s', '0/s']);
    assert.deepEqual(db, ['shop/db', 'Running', NODE, '0', '3.9Ki', '-', '-', '0/s', '0/s', '-', '-']);
    const { items } = JSON.parse((await run('services shop/web -o json')).stdout);
    assert.equal(items.length, 1);
    assert.deepEqual(Object.keys(items[0]), ['project', 'service', 'state', 'node', 'use']);
    const { cpu, memory, network } = items[0].use;
    assert.equal(memory, '2Mi');
    // of its size: what the engine has counted is read a little before the time of that
    const isAbout = (value: number, expected: number): boolean => value > expected / 5 && value < expected * 5;
    assert.ok(/^\d+m$/u.test(cpu) && isAbout(Number.parseInt(cpu, 10), 100), cpu);
    assert.ok(isAbout(network.receivedPerSecond, 1000), String(network.receivedPerSecond));
    assert.deepEqual(cellsOf((await run('projects')).stdout)[1]?.slice(0, 4), ['shop', 'Running', NODE, '2/2']);
    const nodes = JSON.parse((await run('nodes -o json')).stdout).items[0].resources;
    assert.match(nodes.memory.used, /^\d+/u);
    assert.match(nodes.cpu.used, /^\d+/u);
  });

  it('top goes on on a terminal, within its size, and says who does not answer', async () => {
    await using world = await setUp();
    const terminal = { columns: 60, rows: 12 };
    const run = startCtl(['top', 'services'], { server: world.server().url, terminal });
    await run.shows('shop/web');
    await run.shows('0/s');
    assert.doesNotMatch(run.stdout(), /DISK READ/u);
    await world.stopAgent();
    await run.shows('warning: Cannot');
    run.interrupt();
    const { code, stdout } = await run.done;
    assert.equal(code, 130);
    assert.ok(
      stdout
        .replaceAll(new RegExp(`${ESCAPE}\\[\\w+`, 'gu'), '')
        .split('\n')
        .every((line) => line.length <= 60),
    );
    const once = await ctl(['top', 'services', '--no-stream'], { server: world.server().url, terminal });
    assert.match(once.stderr, /^warning: Cannot /u);
    assert.match(once.stdout, /shop\/db +Running +- +-/u);
  });

  it('top says that a node does not answer, and shows the others', async () => {
    await using world = await setUp();
    const manifest = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-02' } };
    await world.client.nodes.apply('worker-02', manifest, FOREVER);
    const { stdout, stderr, code } = await ctl(['top', 'nodes'], { server: world.server().url });
    assert.deepEqual([code, stderr], [0, '']); // NotReady says it
    assert.match(stdout, /worker-02 +NotReady +- /u);
    assert.match(stdout, /worker-01 +Ready +\d+/u);
  });
});
