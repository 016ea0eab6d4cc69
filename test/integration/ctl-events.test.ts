/** caractrl events against the routes over a real socket; clock and store are virtual. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../src/base/random.ts';
import { createCaraClient } from '../../src/client/cara-client.ts';
import { createTransport } from '../../src/client/transport.ts';
import type { CommandContext, OutputFormat } from '../../src/ctl/command.ts';
import { eventsCommand } from '../../src/ctl/commands/events.ts';
import { UsageError } from '../../src/ctl/ctl-error.ts';
import type { Screen } from '../../src/ctl/io.ts';
import { FOREVER, startAgentWorld } from '../support/worlds/agent-world.ts';
import { startCtl } from '../support/worlds/ctl.ts';
import { HEARTBEAT_TIMEOUT_MS, startEventServer } from '../support/worlds/event-server.ts';

type Server = Awaited<ReturnType<typeof startEventServer>>;

interface Flags {
  readonly since?: string;
  readonly for?: string;
  readonly types?: string;
  readonly watch?: boolean;
  readonly follow?: boolean;
  readonly output?: OutputFormat;
}

/** Runs the command as `program.ts` would. */
async function startEvents(server: Server, args: readonly string[] = [], { output, ...flags }: Flags = {}) {
  const stopped = new AbortController();
  const stdout = capture();
  const stderr = capture();
  const { clock } = server;
  const client = createCaraClient(createTransport({ serverUrl: await server.listen(), userAgent: 'test', clock }));
  const context: CommandContext = {
    io: { stdout, stderr, readStdin: async () => new Uint8Array(), openStreams: () => assert.fail('events hands on no streams') },
    clock,
    random: systemRandom,
    output,
    connect: async () => client,
    connectAuth: () => assert.fail('events needs no tokens'),
    configPath: () => '/nonexistent',
    contextName: undefined,
    signal: stopped.signal,
  };
  const options = { since: undefined, for: undefined, types: undefined, watch: false, follow: false, ...flags };
  const done = eventsCommand.run(context, args, options);
  done.catch(() => undefined); // looked at by the test, when it comes to that
  return { done, stdout, stderr, stop: () => stopped.abort() };
}

function capture(): Screen & { text(): string; shows(pattern: RegExp): Promise<void> } {
  let written = '';
  let told = (): void => undefined;
  return {
    write: (text) => {
      written += text;
      told();
    },
    text: () => written,
    shows: async (pattern) => {
      while (!pattern.test(written)) {
        await new Promise<void>((resolve) => {
          told = resolve;
        });
      }
    },
    isTerminal: false,
    columns: 100,
    rows: 24,
    hasColor: false,
  };
}

/** A node that was registered ten minutes ago, beat once, and has been silent since. */
async function startWithSilentNode(): Promise<Server> {
  const server = await startEventServer();
  await server.nodeService.register('worker-01', { info: { agentVersion: '0.1.0' } });
  await server.nodeService.register('worker-02', {});
  server.beat('worker-01');
  await server.clock.advance(600_000);
  return server;
}

test('events shows a table of all, the last one last, with the names of objects as commands take them', async () => {
  await using server = await startWithSilentNode();
  const { done, stdout, stderr } = await startEvents(server);
  assert.equal(await done, 0);
  const lines = stdout.text().trimEnd().split('\n');
  assert.match(lines[0] ?? '', /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$/u);
  assert.match(lines.at(-1) ?? '', /^8m +Warning +NodeNotReady +node\/worker-01 +No heartbeat for longer than 1m30s/u);
  assert.ok(lines.some((line) => /Created +node\/worker-02/u.test(line)));
  assert.equal(stderr.text(), '');
});

test('events of one object, by any word for its type, and since', async () => {
  await using server = await startWithSilentNode();
  for (const args of [['node/worker-02'], ['no', 'worker-02'], ['Nodes/worker-02']]) {
    const { done, stdout } = await startEvents(server, args, { output: 'json' });
    await done;
    const { kind, items } = JSON.parse(stdout.text()) as { kind: string; items: { reason: string }[] };
    assert.equal(kind, 'EventList');
    assert.deepEqual(
      items.map(({ reason }) => reason),
      ['Created'],
    );
  }
  const recent = await startEvents(server, [], { since: '9m', output: 'name' });
  await recent.done;
  assert.match(recent.stdout.text(), /^event\/worker-01\.[0-9a-f]{16}\n$/u);
  const none = await startEvents(server, [], { since: '5m' });
  assert.equal(await none.done, 0);
  assert.deepEqual([none.stdout.text(), none.stderr.text()], ['', 'No events found\n']);
});

test('events refuses what it cannot understand before it asks the server', async () => {
  await using server = await startEventServer();
  for (const [args, flags] of [
    [[], { since: 'yesterday' }],
    [['nodes'], {}],
    [['pods/x'], {}],
    [['node/a', 'node/b'], {}],
    [['node/a'], { for: 'node/b' }],
    [[], { for: 'worker-01' }],
    [[], { types: 'Warnings' }],
    [[], { types: '' }],
  ] as const) {
    await assert.rejects(async () => (await startEvents(server, args, flags)).done, UsageError, args.join(' '));
  }
});

test('events --for and --types show what happened to one object, and of one type', async () => {
  await using server = await startWithSilentNode();
  const warnings = await startEvents(server, [], { types: 'warning' });
  assert.equal(await warnings.done, 0);
  assert.match(warnings.stdout.text(), /^LAST SEEN.*\n[^\n]*Warning +NodeNotReady +node\/worker-01[^\n]*\n$/u);
  const all = await startEvents(server, ['node/worker-01'], { output: 'name' });
  const both = await startEvents(server, [], { for: 'node/worker-01', types: 'Normal,Warning', output: 'name' });
  await Promise.all([all.done, both.done]);
  assert.equal(both.stdout.text(), all.stdout.text());
  const following = await startEvents(server, [], { types: 'Warning', follow: true });
  await following.stdout.shows(/NodeNotReady/u);
  server.beat('worker-01');
  await server.clock.advance(5000);
  server.beat('worker-01');
  await server.clock.advance(HEARTBEAT_TIMEOUT_MS + 5000);
  await following.stdout.shows(/\(x2 over [0-9]+m\) +Warning/u);
  following.stop();
  await assert.rejects(following.done);
  assert.ok(!following.stdout.text().includes('Normal'));
});

test('events -f goes on after a restart of the server: it says so, loses nothing and repeats nothing', async () => {
  await using world = await startAgentWorld();
  const register = async (name: string): Promise<void> => void (await world.client.registerNode(name, {}, FOREVER));
  await register('one');
  const run = startCtl(['events', '-f', '--output', 'json'], { server: world.server().url });
  await run.shows('"name": "one"');
  await world.stopServer();
  await run.shows('trying again');
  await world.startServer();
  await register('two');
  await run.shows('"name": "two"');
  await register('three');
  await run.shows('"name": "three"');
  run.interrupt();
  const { stdout, stderr } = await run.done;
  assert.match(stderr, /trying again\nthe server answers again\n$/u);
  const told = [...stdout.matchAll(/"resourceVersion": "(\d+)"/gu)].map(([, version]) => version);
  assert.equal(new Set(told).size, told.length, stdout);
  for (const name of ['one', 'two', 'three']) {
    assert.ok(stdout.includes(`"name": "${name}"`), name);
  }
});

test('get -w says when the server is away, once, and when it is back', async () => {
  await using world = await startAgentWorld();
  await world.client.registerNode('one', {}, FOREVER);
  const run = startCtl(['get', 'nodes', '-w'], { server: world.server().url });
  await run.shows('one');
  await world.stopServer();
  await run.shows('trying again');
  await world.startServer();
  await run.shows('the server answers again');
  run.interrupt();
  assert.match((await run.done).stderr, /^warning: [^\n]*; trying again\nthe server answers again\n$/u);
});

test('events -f shows what was there, then a row each time something happens, under one header', async () => {
  await using server = await startWithSilentNode();
  const { done, stdout, stop } = await startEvents(server, ['node/worker-01'], { follow: true });
  await stdout.shows(/NodeNotReady/u);
  server.beat('worker-01');
  await server.clock.advance(5000);
  await stdout.shows(/NodeReady +node\/worker-01 +Ready again/u);
  server.beat('worker-01');
  await server.clock.advance(HEARTBEAT_TIMEOUT_MS + 5000);
  await stdout.shows(/\(x2 over [^\n]*\n[^]*\(x2 over [0-9]+m\) +Warning +NodeNotReady/u);
  stop();
  await assert.rejects(done);
  const text = stdout.text();
  assert.equal(text.match(/LAST SEEN/gu)?.length, 1);
  assert.equal(text.match(/Registered/gu)?.length, 1, 'a watch that begins anew repeats nothing');
  assert.ok(!text.includes('worker-02'));
});
