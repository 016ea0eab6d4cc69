/** The guide: heartbeat monitoring. Times are as in the guide, but shorter; that the guide's are the defaults is asked of the programs. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import { durationToMs } from '../../src/api/duration.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { trueConditions } from './api-view.ts';
import { startNetwork } from './network.ts';
import { sentencesOf } from './promises.ts';
import { CLOCK_ERROR_MS, INTERVAL_MS, startWorld, TIMEOUT_MS } from './world.ts';

const sentence = sentencesOf('guide-heartbeats');
const world = await startWorld();
const network = await startNetwork(world.server.url);
after(async () => await network[Symbol.asyncDispose]());

const SLOW_INTERVAL_MS = 1500;
const agent = await world.startAgent('worker-01');
await world.startAgent('slow', { env: { HEARTBEAT_INTERVAL: `${SLOW_INTERVAL_MS}ms` } });
await world.startAgent('far', { serverUrl: network.url });
const stopped = await world.startAgent('stopped');
const crashed = await world.startAgent('crashed');
const poweredOff = await world.startAgent('powered-off');
for (const name of ['worker-01', 'slow', 'far', 'stopped', 'crashed', 'powered-off']) {
  await world.untilState(name, 'Ready');
}

function lastBeatMs({ status }: NodeObject): number {
  return Date.parse(status.lastHeartbeat ?? '');
}

async function nextBeatMs(name: string): Promise<number> {
  const before = lastBeatMs(await world.node(name));
  return lastBeatMs(await world.untilNode(name, 'to beat', (node) => lastBeatMs(node) > before));
}

/** What a program takes when nobody says otherwise. */
async function defaultMs(program: string, setting: string): Promise<number> {
  const config = JSON.parse(await world.type(`${program} --print-config`)) as Readonly<Record<string, string>>;
  return durationToMs(config[setting] ?? '');
}

/** Milliseconds between heartbeats, on average over a few. */
async function measureInterval(name: string): Promise<number> {
  const beats = 3;
  const firstMs = await nextBeatMs(name);
  let lastMs = firstMs;
  for (let beat = 0; beat < beats; beat += 1) {
    lastMs = await nextBeatMs(name);
  }
  return (lastMs - firstMs) / beats;
}

/** It has stopped beating, is NotReady for that alone, and became so when the timeout had passed. */
async function assertLost(name: string): Promise<NodeObject> {
  const node = await world.untilState(name, 'NotReady');
  assert.deepEqual(trueConditions(node), ['NoHeartbeat']);
  const silentMs = Date.parse(findCondition(node.status.conditions, 'NoHeartbeat')?.lastTransitionTime ?? '') - lastBeatMs(node);
  assert.ok(silentMs >= TIMEOUT_MS - CLOCK_ERROR_MS, `${name} was called NotReady after ${silentMs} ms`);
  assert.ok(silentMs <= TIMEOUT_MS + 1000 + stallsMs(), `${name} was called NotReady only after ${silentMs} ms`);
  return node;
}

/** How long the server itself has stood still, which it credits to the nodes; on an idle machine: 0. */
function stallsMs(): number {
  return world.server.log().reduce((sum, { stallMs }) => sum + Number(stallMs ?? 0), 0);
}

test(sentence('cara-agent sends a heartbeat to the control plane on a configurable interval (default: 30s).'), async () => {
  assert.equal(await defaultMs('cara-agent', 'HEARTBEAT_INTERVAL'), 30_000);
  const [fastMs, slowMs] = await Promise.all([measureInterval('worker-01'), measureInterval('slow')]);
  assert.ok(fastMs > INTERVAL_MS * 0.8 && fastMs < SLOW_INTERVAL_MS * 0.8, `${fastMs} ms`);
  assert.ok(slowMs > SLOW_INTERVAL_MS * 0.8 && slowMs < SLOW_INTERVAL_MS * 2, `${slowMs} ms`);
});

test(sentence('Each heartbeat updates status.lastHeartbeat and refreshes the node’s reported capacity and network status.'), async () => {
  await nextBeatMs('slow'); // so that the next one is a second away
  const before = await world.node('slow');
  const wrong = { capacity: { cpu: '1', memory: '1Mi', disk: '1Mi' }, network: { ip: '192.0.2.1', agentPort: 1 } };
  assert.equal((await world.call('POST', 'nodes/slow/heartbeat', wrong)).status, 204);
  const spoilt = await world.untilNode('slow', 'to be what this heartbeat says', ({ status }) => status.network?.ip === '192.0.2.1');
  assert.deepEqual([spoilt.status.capacity, spoilt.status.network], [wrong.capacity, wrong.network]);
  const refreshed = await world.untilNode('slow', 'to be what its agent says', ({ status }) => status.network?.ip !== '192.0.2.1');
  assert.deepEqual([refreshed.status.capacity, refreshed.status.network], [before.status.capacity, before.status.network]);
  assert.ok(lastBeatMs(refreshed) > lastBeatMs(spoilt) && lastBeatMs(spoilt) > lastBeatMs(before));
});

test(sentence('The control plane watches lastHeartbeat.'), async () => {
  const first = await world.node('worker-01');
  await world.untilNode('worker-01', 'to beat for longer than the timeout', (node) => {
    assert.equal(node.status.state, 'Ready'); // for as long as it moves on
    return lastBeatMs(node) - lastBeatMs(first) > TIMEOUT_MS + INTERVAL_MS;
  });
});

test(
  sentence(
    'When the timestamp is older than the heartbeat timeout threshold (90 seconds), it sets the node state to NotReady and adds a NoHeartbeat condition.',
  ),
  async () => {
    assert.equal(await defaultMs('cara-server', 'NODE_HEARTBEAT_TIMEOUT'), 90_000);
    assert.equal((await world.call('POST', 'nodes/once/register', {})).status, 200);
    assert.equal((await world.call('POST', 'nodes/once/heartbeat', {})).status, 204); // once, and then never again
    assert.deepEqual(trueConditions(await world.untilState('once', 'Ready')), []);
    const { status } = await assertLost('once');
    const condition = findCondition(status.conditions, 'NoHeartbeat');
    assert.deepEqual([condition?.status, condition?.reason], ['True', 'HeartbeatTimeout']);
    assert.match(condition?.message ?? '', /longer than 3s/u);
  },
);

test(sentence('cara-agent process crashed or was stopped.'), async () => {
  await crashed.kill();
  assert.equal(await stopped.stop(), 0);
  await assertLost('crashed');
  await assertLost('stopped');
});

test(sentence('Network partition between the agent machine and cara-server.'), async () => {
  network.cut();
  await assertLost('far');
  network.heal();
  const back = await world.untilState('far', 'Ready');
  assert.deepEqual(trueConditions(back), []);
});

test(sentence('The machine running the agent was powered off or rebooted.'), async () => {
  process.kill(poweredOff.pid, 'SIGSTOP'); // it closes no connection and says nothing, as without power
  await assertLost('powered-off');
  await poweredOff.kill();
  await world.startAgent('powered-off');
  assert.deepEqual(trueConditions(await world.untilState('powered-off', 'Ready')), []);
});

test(sentence('caractrl --output json get nodes worker-01'), async () => {
  const seen = JSON.parse(await world.type('caractrl --output json get nodes worker-01')) as NodeObject;
  assert.ok(Math.abs(lastBeatMs(seen) - lastBeatMs(await world.node('worker-01'))) < TIMEOUT_MS);
  assert.equal(seen.status.state, 'Ready');
});

test(sentence('Check status.lastHeartbeat to see when the agent last checked in:'), async () => {
  const beatMs = await nextBeatMs('worker-01');
  await agent.kill();
  const killedMs = Date.now();
  const lost = await assertLost('worker-01');
  const seen = JSON.parse(await world.type('caractrl --output json get nodes worker-01')) as NodeObject;
  assert.equal(seen.status.lastHeartbeat, lost.status.lastHeartbeat); // it stays what it was
  assert.ok(lastBeatMs(seen) >= beatMs && lastBeatMs(seen) <= killedMs, String(seen.status.lastHeartbeat));
});
