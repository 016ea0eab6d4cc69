/** The reference: the status fields but for status.network, which has a file of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONDITION_STATUSES, findCondition, type Condition } from '../../src/api/condition.ts';
import { NODE_STATES, type NodeObject, type ResourceAmounts } from '../../src/api/node.ts';
import { isQuantity, quantityToUnits } from '../../src/api/quantity.ts';
import { trueConditions } from './api-view.ts';
import { NODE_YAML, sentencesOf } from './promises.ts';
import { CLOCK_ERROR_MS, startWorld, TIMEOUT_MS } from './world.ts';

const sentence = sentencesOf('reference-status');
const world = await startWorld();
await world.startAgent('worker-01');
await world.startAgent('worker-02', { engineHost: 'unix:///nonexistent/docker.sock' });
const silent = await world.startAgent('worker-03');
await world.untilState('worker-01', 'Ready');
await world.untilState('worker-03', 'Ready');
await silent.kill();

const RFC_3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/u;

async function conditionsOf(name: string): Promise<readonly Condition[]> {
  return (await world.node(name)).status.conditions;
}

async function beat(name: string, body: object): Promise<number> {
  return (await world.call('POST', `nodes/${name}/heartbeat`, body)).status;
}

/** A node whose agent is the test. */
async function register(name: string): Promise<void> {
  assert.equal((await world.call('POST', `nodes/${name}/register`, {})).status, 200);
}

test(
  sentence('The following fields are written by the system — bycara-agent (heartbeat data) and the Controller Manager (aggregated state).'),
  async () => {
    const { metadata, status } = await world.node('worker-01');
    assert.deepEqual(metadata.labels, {}); // nobody has written anything
    assert.deepEqual(Object.keys(status).toSorted(), [
      'allocatable',
      'capacity',
      'conditions',
      'info',
      'lastHeartbeat',
      'network',
      'state',
    ]);
  },
);

test(sentence('Do not include them in your manifests.'), async () => {
  const manifest = `${NODE_YAML.replace('worker-01', 'forged')}status:\n  state: Ready\n  capacity: { cpu: "64" }\n`;
  const { code, stdout, stderr } = await world.tryTyping('caractrl apply -f -', manifest);
  assert.deepEqual([code, stdout], [0, 'node/forged created\n']);
  assert.match(stderr, /^warning: .*status/u);
  const { status } = await world.node('forged');
  assert.deepEqual([status.state, status.capacity], ['NotReady', undefined]);
});

test(sentence('High-level health summary of the Node.'), async () => {
  const { status } = await world.node('worker-01');
  assert.equal(status.state, 'Ready');
  assert.match(await world.type('caractrl describe node worker-01'), /^State: +Ready \(Healthy\)$/mu);
});

test(sentence('One of:'), async () => {
  assert.deepEqual(NODE_STATES, ['Ready', 'NotReady', 'Draining']);
  const answer = await fetch(`${world.server.url}/openapi.json`);
  assert.match(JSON.stringify(await answer.json()), /"enum":\["Ready","NotReady","Draining"\]/u);
  assert.equal(await beat('worker-01', { state: 'Banana' }), 400);
});

test(sentence('Ready — Node is healthy and accepting work'), async () => {
  assert.deepEqual(trueConditions(await world.untilState('worker-01', 'Ready')), []);
  await world.type('caractrl label node worker-01 accepts=work');
  await world.runProject('status-1', { nodeSelector: { accepts: 'work' } });
});

test(sentence('NotReady — Agent heartbeat has timed out or the node is unhealthy'), async () => {
  const unhealthy = await world.untilNode('worker-02', 'to say it has no engine', (node) => trueConditions(node).length > 0);
  assert.deepEqual([unhealthy.status.state, trueConditions(unhealthy)], ['NotReady', ['RuntimeUnavailable']]);
  const timedOut = await world.untilState('worker-03', 'NotReady');
  assert.deepEqual(trueConditions(timedOut), ['NoHeartbeat']);
});

test(sentence('Draining — Node is being drained; no new Projects are scheduled'), async () => {
  await world.type('caractrl cordon worker-01');
  assert.deepEqual(trueConditions(await world.untilState('worker-01', 'Draining')), ['Unschedulable']);
  assert.match(await world.refusal('status-2', { nodeSelector: { accepts: 'work' } }), /1 is Draining/u);
  await world.type('caractrl uncordon worker-01');
  await world.untilPhase('status-2', 'Running');
});

test(sentence('Resource totals reported by the agent.'), async () => {
  const { capacity, allocatable } = (await world.node('worker-01')).status;
  for (const resource of ['cpu', 'memory', 'disk'] as const) {
    assert.ok(capacity?.[resource] !== undefined && allocatable?.[resource] !== undefined, resource);
  }
});

test(
  sentence('capacity — Raw physical resource totals (cpu, memory, disk). Values use Kubernetes quantity format: "4Gi", "2000m".'),
  async () => {
    const measured = (await world.node('worker-01')).status.capacity ?? {};
    assert.deepEqual(Object.keys(measured).toSorted(), ['cpu', 'disk', 'memory']);
    assert.ok(
      Object.values(measured).every((amount) => isQuantity(String(amount))),
      JSON.stringify(measured),
    );
    await register('told');
    const told: ResourceAmounts = { cpu: '2000m', memory: '4Gi', disk: '1.5e9' };
    assert.equal(await beat('told', { capacity: told }), 204);
    const node = await world.untilNode('told', 'to show its capacity', ({ status }) => status.capacity !== undefined);
    assert.deepEqual(node.status.capacity, told); // to the letter
    assert.equal(await beat('told', { capacity: { cpu: 'four' } }), 400);
  },
);

test(
  sentence(
    'allocatable — Capacity minus system-reserved amounts. The Scheduler uses this to determine available headroom for new Projects.',
  ),
  async () => {
    const { capacity, allocatable } = (await world.node('worker-01')).status;
    const config = JSON.parse(await world.type('cara-agent --print-config')) as { SYSTEM_RESERVED: { memoryBytes: number } };
    const reserved = quantityToUnits(String(capacity?.memory)) - quantityToUnits(String(allocatable?.memory));
    assert.equal(reserved, config.SYSTEM_RESERVED.memoryBytes);

    await register('small');
    await beat('small', { capacity: { cpu: '4', memory: '4Gi' }, allocatable: { cpu: '2', memory: '1Gi' } });
    await world.type('caractrl label node small size=small');
    await world.untilState('small', 'Ready');
    const asking = (memory: string): object => ({
      services: [{ name: 'a', image: 'localhost/none:1', resources: { requests: { memory } } }],
      nodeSelector: { size: 'small' },
    });
    await world.applyProject('status-3', asking('600Mi'));
    await world.untilProject('status-3', 'to be placed', ({ status }) => status.nodeRef === 'small');
    assert.match(await world.refusal('status-4', asking('500Mi')), /1 lacks memory \(500Mi asked, 424Mi free at most\)/u); // 1Gi - 600Mi
  },
);

test(sentence('RFC 3339 timestamp of the most recent heartbeat received from the agent.'), async () => {
  await register('told');
  const beforeMs = Date.now();
  assert.equal(await beat('told', {}), 204);
  const afterMs = Date.now();
  const { lastHeartbeat = '' } = (await world.node('told')).status;
  assert.match(lastHeartbeat, RFC_3339_UTC);
  assert.ok(Date.parse(lastHeartbeat) >= beforeMs && Date.parse(lastHeartbeat) <= afterMs, lastHeartbeat);
});

test(sentence('The control plane uses this to detect unresponsive nodes and transition them to NotReady.'), async () => {
  const node = await world.untilState('worker-03', 'NotReady');
  const atMs = Date.parse(findCondition(node.status.conditions, 'Ready')?.lastTransitionTime ?? '');
  const silentMs = atMs - Date.parse(node.status.lastHeartbeat ?? '');
  assert.ok(silentMs >= TIMEOUT_MS - CLOCK_ERROR_MS, `${silentMs} ms`);
  assert.ok((await conditionsOf('worker-01')).every(({ type, status }) => type !== 'NoHeartbeat' || status === 'False'));
});

test(sentence('A list of granular observable conditions on the Node.'), async () => {
  const types = (await conditionsOf('worker-01')).map(({ type }) => type);
  assert.deepEqual(types, ['Ready', 'NoHeartbeat', 'RuntimeUnavailable', 'DiskPressure', 'MemoryPressure', 'Unschedulable']);
});

test(sentence('Each condition has:'), async () => {
  const fields = ['lastHeartbeatTime', 'lastTransitionTime', 'message', 'reason', 'status', 'type'];
  for (const name of ['worker-01', 'worker-02', 'worker-03']) {
    for (const condition of await conditionsOf(name)) {
      assert.deepEqual(Object.keys(condition).toSorted(), fields, `${name}: ${condition.type}`);
    }
  }
});

test(sentence('type — Machine-readable identifier, e.g. Ready'), async () => {
  const conditions = await conditionsOf('worker-01');
  assert.ok(findCondition(conditions, 'Ready'));
  assert.equal(new Set(conditions.map(({ type }) => type)).size, conditions.length);
  assert.equal(await beat('told', { conditions: [{ type: 'not machine-readable', status: 'True' }] }), 400);
});

test(sentence('status — True, False, or Unknown'), async () => {
  assert.deepEqual(CONDITION_STATUSES, ['True', 'False', 'Unknown']);
  const ready = async (name: string): Promise<string | undefined> => findCondition(await conditionsOf(name), 'Ready')?.status;
  assert.deepEqual([await ready('worker-01'), await ready('worker-02'), await ready('worker-03')], ['True', 'False', 'Unknown']);
  assert.equal(await beat('told', { conditions: [{ type: 'Ready', status: 'Maybe' }] }), 400);
});

test(sentence('reason — CamelCase word summarising the current status'), async () => {
  for (const name of ['worker-01', 'worker-02', 'worker-03']) {
    for (const { type, reason } of await conditionsOf(name)) {
      assert.match(reason, /^[A-Z][A-Za-z0-9]*$/u, `${name}: ${type}`);
    }
  }
  assert.equal(findCondition(await conditionsOf('worker-03'), 'NoHeartbeat')?.reason, 'HeartbeatTimeout');
});

test(sentence('message — Human-readable explanation'), async () => {
  for (const name of ['worker-01', 'worker-02', 'worker-03']) {
    for (const { type, message } of await conditionsOf(name)) {
      assert.match(message, /^[A-Z].* /u, `${name}: ${type}`);
    }
  }
  assert.match(findCondition(await conditionsOf('worker-02'), 'RuntimeUnavailable')?.message ?? '', /\/nonexistent\/docker\.sock/u);
});

test(sentence('lastHeartbeatTime — When this condition was last sampled'), async () => {
  const sampled = ({ status }: NodeObject): string => findCondition(status.conditions, 'MemoryPressure')?.lastHeartbeatTime ?? '';
  const before = sampled(await world.node('worker-01'));
  assert.match(before, RFC_3339_UTC);
  await world.untilNode('worker-01', 'to be sampled again', (node) => Date.parse(sampled(node)) > Date.parse(before));
  const old = sampled(await world.node('worker-03')); // nobody samples there any more
  assert.ok(Date.parse(old) < Date.parse(before), old);
});

test(sentence('lastTransitionTime — When the status last changed'), async () => {
  const at = ({ status }: NodeObject, type: string): string => findCondition(status.conditions, type)?.lastTransitionTime ?? '';
  const before = await world.node('worker-01');
  await world.untilNode('worker-01', 'to beat on', ({ status }) => status.lastHeartbeat !== before.status.lastHeartbeat);
  const beforeMs = Date.now();
  await world.type('caractrl cordon worker-01');
  const after = await world.untilState('worker-01', 'Draining');
  const changedMs = Date.parse(at(after, 'Unschedulable'));
  assert.ok(changedMs >= beforeMs && changedMs <= Date.now(), at(after, 'Unschedulable'));
  assert.equal(at(after, 'Ready'), at(before, 'Ready')); // True before and after
  await world.type('caractrl uncordon worker-01');
});
