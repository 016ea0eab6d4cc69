/** Agents whose wall clock is wrong, or is set while they run: they work, and the node says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';

const DAY_MS = 86_400_000;

const nodeOf = async ({ client }: AgentWorld): Promise<NodeObject | undefined> => client.nodes.find('worker-01', FOREVER);

async function untilSkew(world: AgentWorld, expected: RegExp): Promise<NodeObject> {
  return world.until(`ClockSkew to be ${expected.source}`, async () => {
    const node = await nodeOf(world);
    const condition = node && findCondition(node.status.conditions, 'ClockSkew');
    return expected.test(condition === undefined ? 'absent' : `${condition.status} ${condition.message}`) && node;
  });
}

test('an agent whose clock is two days off works, and the node says by how much and which way', async () => {
  await using world = await startAgentWorld({ agentWallAheadMs: () => -2 * DAY_MS });
  const startedMs = Date.now();
  await world.startAgent();
  const node = await untilSkew(world, /^True This machine's clock is 48h behind the server's/u);
  assert.equal(node.status.state, 'Ready');
  assert.ok(Date.parse(node.status.lastHeartbeat ?? '') >= startedMs - 1000, 'the time of the last heartbeat is that of the server');
  world.engine.addImage('web:1');
  const manifest = {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: 'shop' },
    spec: { services: [{ name: 'web', image: 'web:1' }] },
  };
  await world.client.projects.apply('shop', manifest, FOREVER);
  await world.until('shop to run', async () => (await world.client.projects.find('shop', FOREVER))?.status.phase === 'Running');
  const version = (await nodeOf(world))?.metadata.resourceVersion;
  const seen = (await nodeOf(world))?.status.lastHeartbeat;
  await world.until(
    'two more heartbeats',
    async () => Date.parse((await nodeOf(world))?.status.lastHeartbeat ?? '') > Date.parse(seen ?? '') + 700,
  );
  assert.equal((await nodeOf(world))?.metadata.resourceVersion, version); // the same skew is no news
});

test('jumps of the wall clock by a day, either way, cost an agent nothing, and are told until it is set right', async () => {
  let aheadMs = 0;
  await using world = await startAgentWorld({ agentWallAheadMs: () => aheadMs });
  await world.startAgent();
  await world.until('the node to be Ready', async () => (await nodeOf(world))?.status.state === 'Ready');
  const ended = new AbortController();
  const states = new Set<string>();
  const since = (await world.client.nodes.list({}, FOREVER)).metadata.resourceVersion;
  const watching = (async () => {
    for await (const event of world.client.nodes.watch({ since }, ended.signal)) {
      if (event.type === 'MODIFIED') {
        states.add(event.object.status.state);
      }
    }
  })().catch((error: unknown) => assert.ok(ended.signal.aborted, String(error)));
  await untilSkew(world, /^absent/u);
  aheadMs = DAY_MS;
  await untilSkew(world, /^True .* 24h ahead of /u);
  aheadMs = -DAY_MS;
  await untilSkew(world, /^True .* 24h behind /u);
  aheadMs = 0;
  await untilSkew(world, /^False /u);
  ended.abort();
  await watching;
  assert.deepEqual([...states], ['Ready']);
});
