/** The logs of services, from a fake engine through a real agent and a real server to caractrl in this process. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { describe, it } from 'node:test';
import { advanceCursor, formatCursor, LOG_RECORDS, type LogCursor, type LogRecord } from '../../src/api/log-record.ts';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { ctl, startCtl, type CtlRun } from '../support/worlds/ctl.ts';

const NODE = 'worker-01';
/** where the agent does not listen, so that everything goes through the tunnel */
const ELSEWHERE = { NODE_IP: '127.0.0.2' };

async function setUp(services: readonly string[] = ['web'], agentEnv: Readonly<Record<string, string>> = {}): Promise<AgentWorld> {
  const world = await startAgentWorld({ agentEnv, heartbeatInterval: '200ms' });
  world.engine.addImage('web:1');
  world.engine.addImage('web:2');
  await world.startAgent(NODE);
  await apply(world, services);
  await running(world);
  return world;
}

async function apply(world: AgentWorld, services: readonly string[], image = 'web:1'): Promise<void> {
  const spec = { services: services.map((name) => ({ name, image })) };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
}

async function running(world: AgentWorld): Promise<void> {
  await world.until('the Project to run', async () => {
    const { metadata, status } = await world.client.projects.get('shop', FOREVER);
    return status.phase === 'Running' && status.observedGeneration === metadata.generation;
  });
}

function containerOf(world: AgentWorld, service = 'web'): string {
  const found = [...world.engine.state.containers.values()].find(({ name }) => name === `cara_shop_${service}`);
  return found?.id ?? assert.fail(`no container of ${service}`);
}

function say(world: AgentWorld, text: string, service = 'web'): void {
  world.engine.state.writeLog(containerOf(world, service), 'stdout', `${text}\n`);
}

function start(world: AgentWorld, ...args: readonly string[]): CtlRun {
  return startCtl(['logs', ...args], { server: world.server().url });
}

function followable<Result extends { readonly code: number }>(result: Result): Result | undefined {
  return result.code === 0 ? result : undefined;
}

async function shown(run: CtlRun): Promise<string> {
  run.interrupt();
  return (await run.done).stdout;
}

describe('caractrl logs', () => {
  for (const [path, env] of [
    ['directly', {}],
    ['through the tunnel', ELSEWHERE],
  ] as const) {
    it(`caractrl logs shows what a service has written ${path}, stderr apart`, async () => {
      await using world = await setUp(['web'], env);
      say(world, 'one');
      world.engine.state.writeLog(containerOf(world), 'stderr', 'oh no\n');
      say(world, 'two');
      const server = world.server().url;
      const { code, stdout, stderr } = await ctl(['logs', 'shop/web'], { server });
      assert.deepEqual([code, stdout, stderr], [0, 'one\ntwo\n', 'oh no\n']);
      assert.equal((await ctl(['logs', 'shop/web', '--tail', '1'], { server })).stdout, 'two\n');
      assert.match((await ctl(['logs', 'shop/web', '--tail=1', '-t'], { server })).stdout, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z two\n$/u);
      assert.equal((await ctl(['logs', 'shop/web', '--since', '1h'], { server })).stdout, 'one\ntwo\n');
    });
  }

  it('caractrl logs -f goes on through restarts and updates of the container, without losing or repeating a line', async () => {
    await using world = await setUp();
    say(world, 'a1');
    const run = start(world, 'shop/web', '-f');
    await run.shows('a1');
    say(world, 'a2');
    await run.shows('a2');
    const id = containerOf(world);
    world.engine.state.exitContainer(id, 3);
    await run.shows('--- shop/web has ended with exit code 3 ---');
    await world.until('a restart', () => world.engine.state.getContainer(id).status === 'running');
    say(world, 'a3');
    await run.shows('a3');
    await apply(world, ['web'], 'web:2');
    await world.until('another container', () => containerOf(world) !== id && containerOf(world));
    await running(world);
    say(world, 'b1');
    await run.shows('b1');
    assert.equal(await shown(run), 'a1\na2\na3\nb1\n');
  });

  for (const [path, env] of [
    ['directly', {}],
    ['through the tunnel', ELSEWHERE],
  ] as const) {
    it(`caractrl logs -f goes on ${path} after the agent and the server were restarted, and says so`, async () => {
      await using world = await setUp(['web'], env);
      const port = new URL(world.server().url).port;
      say(world, 'one');
      const run = start(world, 'shop/web', '-f');
      await run.shows('one');
      await world.stopAgent();
      say(world, 'two');
      say(world, 'three');
      await world.startAgent(NODE);
      await run.shows('three');
      await world.stopServer();
      say(world, 'four');
      await world.startServer();
      assert.equal(new URL(world.server().url).port, port);
      say(world, 'five');
      await run.shows('five');
      run.interrupt();
      const { stdout, stderr } = await run.done;
      assert.equal(stdout, 'one\ntwo\nthree\nfour\nfive\n');
      assert.match(stderr, /^--- [\d.]+ s without contact with worker-01 ---$/mu);
    });
  }

  it('caractrl logs merges several services in the order of time, each with its name before it', async () => {
    await using world = await setUp(['web', 'db']);
    const tick = async (): Promise<void> => {
      const now = Date.now();
      await world.until('the next millisecond', () => Date.now() > now);
    };
    for (const [service, text] of [
      ['web', 'w1'],
      ['db', 'd1'],
      ['db', 'd2'],
      ['web', 'w2'],
      ['db', 'd3'],
    ] as const) {
      say(world, text, service);
      await tick();
    }
    const expected = 'web | w1\ndb  | d1\ndb  | d2\nweb | w2\ndb  | d3\n';
    const server = world.server().url;
    assert.equal((await ctl(['logs', 'shop'], { server })).stdout, expected);
    const run = start(world, 'shop', '-f');
    await run.shows('d3');
    say(world, 'w3', 'web');
    await run.shows('w3');
    say(world, 'd4', 'db');
    await run.shows('d4');
    assert.equal(await shown(run), `${expected}web | w3\ndb  | d4\n`);
    const terminal = { columns: 80, rows: 24, hasColor: true };
    const colored = (await ctl(['logs', 'shop', '--tail', '1'], { server, terminal })).stdout;
    assert.ok(colored.includes('\u001B[36mweb | \u001B[0mw3\n'), colored);
  });

  it('caractrl logs --previous shows what was written before the last start', async () => {
    await using world = await setUp();
    say(world, 'before 1');
    say(world, 'before 2');
    const id = containerOf(world);
    const early = await ctl(['logs', 'shop/web', '--previous'], { server: world.server().url });
    assert.equal(early.code, 1);
    assert.match(early.stderr, /neither been restarted nor replaced on this node: leave out --previous/u);
    const now = Date.now();
    await world.until('the next millisecond', () => Date.now() > now);
    world.engine.state.exitContainer(id, 1);
    await world.until('a restart', () => world.engine.state.getContainer(id).status === 'running');
    const later = Date.now();
    await world.until('the next millisecond', () => Date.now() > later);
    say(world, 'after');
    const server = world.server().url;
    assert.equal((await ctl(['logs', 'shop/web', '--previous'], { server })).stdout, 'before 1\nbefore 2\n');
    assert.equal((await ctl(['logs', 'shop/web', '-p', '--tail', '1'], { server })).stdout, 'before 2\n');
  });

  it('caractrl logs --previous shows the end of what a replaced container wrote, until the Project goes', async () => {
    await using world = await setUp();
    const server = world.server().url;
    const folder = path.join(world.dataDir, 'former-logs/shop');
    const id = containerOf(world);
    for (let n = 1; n <= 6000; n += 1) {
      say(world, `${n} of the first`);
    }
    world.engine.state.writeLog(id, 'stderr', 'its last words\n');
    await apply(world, ['web'], 'web:2');
    await world.until('another container', () => !world.engine.state.containers.has(id));
    await running(world);
    say(world, 'of the second');
    const { stdout, stderr } = await ctl(['logs', 'shop/web', '--previous'], { server });
    const lines = stdout.trimEnd().split('\n');
    assert.deepEqual([lines.length, lines[0], lines.at(-1), stderr], [4999, '1002 of the first', '6000 of the first', 'its last words\n']);
    assert.equal((await ctl(['logs', 'shop/web', '-p', '--tail', '2'], { server })).stdout, '6000 of the first\n');
    assert.equal(statSync(path.join(folder, 'web.log')).mode & 0o777, 0o600);
    await world.stopAgent();
    await world.startAgent(NODE);
    assert.equal((await world.until('contact', async () => followable(await ctl(['logs', 'shop/web', '-p'], { server })))).stdout, stdout);
    await world.client.projects.delete('shop', {}, FOREVER);
    await world.until('the folder to go', () => !existsSync(folder));
  });

  it('caractrl logs passes bytes on that are no text, and lines of any length', async () => {
    await using world = await setUp();
    const piece = 'x'.repeat(16 * 1024);
    world.engine.state.writeLog(containerOf(world), 'stdout', piece);
    world.engine.state.writeLog(containerOf(world), 'stdout', `${piece}\n`);
    say(world, 'short');
    const { stdout } = await ctl(['logs', 'shop/web'], { server: world.server().url });
    assert.equal(stdout, `${piece}${piece}\nshort\n`);
  });

  it('caractrl logs says what is wrong with what it is asked', async () => {
    await using world = await setUp();
    const server = world.server().url;
    for (const [args, code, words] of [
      [['nope/web'], 1, /Cannot find project "nope"/u],
      [['shop/nope'], 1, /Cannot find service "nope" in project "shop"\nhint: its services are web/u],
      [['shop/web/x'], 2, /must be PROJECT or PROJECT\/SERVICE/u],
      [[], 2, /no Project is named/u],
      [['shop', '--tail', 'x'], 2, /--tail "x"/u],
      [['shop', '--since', 'x'], 2, /--since "x"/u],
      [['shop', '-f', '-p'], 2, /leave out --follow or --previous/u],
    ] as const) {
      const result = await ctl(['logs', ...args], { server });
      assert.equal(result.code, code, args.join(' '));
      assert.match(result.stderr, words);
    }
    await world.stopAgent();
    await world.until('NotReady', async () => (await world.client.nodes.get(NODE, FOREVER)).status.state === 'NotReady');
    const { code, stderr } = await ctl(['logs', 'shop/web'], { server });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot reach node "worker-01" as it is NotReady, it is silent since .*bring the machine/u);
  });

  it('caractrl logs -f waits for a Project that is on no node yet, and says so', async () => {
    await using world = await startAgentWorld();
    world.engine.addImage('web:1');
    await apply(world, ['web']);
    const run = start(world, 'shop/web', '-f');
    await run.shows('--- waiting: Cannot read the logs of shop/web as the Project is on no node: it is Pending');
    await world.startAgent(NODE);
    await running(world);
    say(world, 'hello');
    await run.shows('hello');
    assert.equal(await shown(run), 'hello\n');
  });
});

/** What the kernel may hold between agent and server, and between server and reader. */
function kernelBytes(): number {
  const limits = ['tcp_rmem', 'tcp_wmem'].map((name) => readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/u)[2]);
  return 2 * limits.reduce((sum, limit) => sum + Number(limit), 0);
}

describe('GET …/logs', () => {
  it('GET …/logs answers plain text, as curl reads it', async () => {
    await using world = await setUp();
    say(world, 'one');
    const path = '/api/v1/projects/shop/services/web/logs';
    const response = await fetch(`${world.server().url}${path}?timestamps`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/u);
    assert.match(await response.text(), /^\S+Z one\n$/u);
    assert.equal((await fetch(`${world.server().url}${path}?cursor=x`)).status, 400);
    assert.equal((await fetch(`${world.server().url}${path}?since=x`)).status, 400);
    assert.equal((await fetch(`${world.server().url}${path}`, { method: 'HEAD' })).status, 200);
  });

  it('GET …/logs?cursor goes on in a container that has been replaced meanwhile, where it was, and then in the other', async () => {
    await using world = await setUp();
    const id = containerOf(world);
    const url = `${world.server().url}/api/v1/projects/shop/services/web/logs`;
    const read = async (query: string): Promise<readonly LogRecord[]> => {
      const text = await (await fetch(`${url}?${query}`, { headers: { accept: LOG_RECORDS } })).text();
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LogRecord]));
    };
    say(world, 'a1');
    const begun = (await read('')).reduce((cursor: LogCursor | undefined, record) => advanceCursor(cursor, record), undefined);
    say(world, 'a2');
    await apply(world, ['web'], 'web:2');
    await world.until('another container', () => !world.engine.state.containers.has(id));
    await running(world);
    say(world, 'b1');
    const rest = await read(`cursor=${formatCursor(begun ?? assert.fail())}`);
    assert.deepEqual(
      rest.flatMap((record) => (record.type === 'line' ? [record.text] : record.type === 'lines' ? assert.fail('not asked for') : [])),
      ['a2', 'b1'],
    );
  });

  it('GET …/logs?follow leaves with the engine what a reader does not read, and loses none of it', async () => {
    await using world = await setUp(['web'], ELSEWHERE);
    const id = containerOf(world);
    const bound = 8 * 1024 * 1024 + kernelBytes();
    const count = Math.ceil((bound + 16 * 1024 * 1024) / 8000);
    const lineOf = (n: number): string => `${String(n).padStart(6)} ${'y'.repeat(8000)}\n`;
    const total = count * lineOf(0).length;
    const request = http.get(`${world.server().url}/api/v1/projects/shop/services/web/logs?follow`, { agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    await world.until('the engine to be asked', () => world.engine.state.followedLogs.size > 0);
    for (let n = 0; n < count; n += 1) {
      world.engine.state.writeLog(id, 'stdout', lineOf(n));
    }
    const untaken: number[] = [];
    await world.until('nothing to be taken any more', () => {
      untaken.push(world.engine.state.untakenLines());
      return untaken.length > 20 && untaken.at(-1) === untaken.at(-20);
    });
    const taken = (count - (untaken.at(-1) ?? 0)) * lineOf(0).length;
    assert.ok(taken < bound, `${taken} bytes are on the way that nobody reads`);
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes >= total) {
        break;
      }
    }
    assert.equal(bytes, total);
  });
});
