/**
 * Five thousand agents' sessions in one process: the agents' own registration, heartbeats and watches of assignments, without engines. Each
 * watch has a connection of its own, as an agent's has. For fleet-reconnect.ts.
 *
 * Arguments: the server's URL, how many, the heartbeat interval in ms. Each line that comes in starts a count anew; whenever each agent has had a beat accepted, and its
 * watch is open, since the count began, the milliseconds that took go out as a line.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { createAssignmentWatcher } from '../src/agent/session/assignment-watcher.ts';
import { createHeartbeater, heartbeatTimeLimitMs } from '../src/agent/session/heartbeater.ts';
import { createRegistrar } from '../src/agent/session/registrar.ts';
import { runSession } from '../src/agent/session/session.ts';
import type { StandingCell } from '../src/agent/session/standing.ts';
import { systemClock as clock } from '../src/base/clock.ts';
import { systemRandom as random } from '../src/base/random.ts';
import { Stopper } from '../src/base/stopper.ts';
import { Wakeup } from '../src/base/wakeup.ts';
import { createCaraClient, type CaraClient } from '../src/client/cara-client.ts';
import { httpFetch } from '../src/client/http-fetch.ts';
import { createTransport } from '../src/client/transport.ts';
import { agentName, reportOf } from './fleet-agents.ts';

const [serverUrl = '', count = '', interval = ''] = process.argv.slice(2);
const intervalMs = Number(interval);
const log = pino({ level: 'silent' });
const stopper = new Stopper((name, error) => process.stderr.write(`${name}: ${String(error)}\n`));
const missing = { beats: new Set<number>(), watches: new Set<number>() };
let startedMs = performance.now();

function startCount(): void {
  startedMs = performance.now();
  for (let index = 0; index < Number(count); index += 1) {
    missing.beats.add(index);
    missing.watches.add(index);
  }
}

function note(what: keyof typeof missing, index: number): void {
  if (missing[what].delete(index) && missing.beats.size + missing.watches.size === 0) {
    process.stdout.write(`${performance.now() - startedMs}\n`);
  }
}

/** A watch says something as soon as it is open. */
async function* noteWatch<Item>(index: number, events: AsyncIterable<Item>): AsyncGenerator<Item> {
  for await (const event of events) {
    note('watches', index);
    yield event;
  }
}

function connect(timeoutMs?: number): CaraClient {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  return createCaraClient(createTransport({ serverUrl, userAgent: 'bench', clock, fetch: httpFetch, ...limit }));
}

function startAgent(index: number, clusterId: string): void {
  const nodeName = agentName(index);
  const client = connect();
  const { identity, ...report } = reportOf(index);
  const assignments = createAssignmentWatcher({
    client: {
      ...client,
      projects: { ...client.projects, watch: (query, signal) => noteWatch(index, client.projects.watch(query, signal)) },
    },
    nodeName,
    clusterId: () => clusterId,
    sink: { replaceAll: () => undefined, put: () => undefined, remove: () => undefined },
    clock,
    random,
    log,
  });
  const standing: StandingCell = { current: 'joining', hasRegistered: false };
  const registrar = createRegistrar({
    client,
    nodeName,
    registration: () => ({ hostname: nodeName, ...(identity && { identity: { id: identity.id } }) }),
    onCluster: () => Promise.resolve(),
    onCredential: () => undefined,
    onRefused: () => undefined,
    standing,
    hasJoined: () => true,
    clock,
    random,
    log,
  });
  const heartbeater = createHeartbeater({
    client: connect(heartbeatTimeLimitMs(intervalMs)),
    nodeName,
    intervalMs,
    body: (answer) => ({ ...report, ...(identity && { identity: { ...identity, ...(answer !== undefined && { answer }) } }) }),
    onAccepted: () => {
      registrar.confirm();
      note('beats', index);
    },
    onDeleted: () => undefined,
    changed: new Wakeup(),
    clock,
    random,
    log,
  });
  const firstSample = new Wakeup();
  firstSample.notify();
  const session = {
    registrar,
    heartbeater,
    onRegistered: () => assignments.relist(),
    standing,
    firstSample,
    clock,
    log,
  };
  stopper.spawn(`${nodeName} session`, (signal) => runSession(session, signal));
  stopper.spawn(`${nodeName} assignments`, (signal) => assignments.run(signal));
}

startCount();
createInterface({ input: process.stdin })
  .on('line', startCount)
  .on('close', () => process.exit(0));
const { clusterId } = await connect().version(AbortSignal.timeout(60_000));
for (let index = 0; index < Number(count); index += 1) {
  startAgent(index, clusterId);
  if (index % 50 === 0) {
    await delay(50); // machines are not switched on in one instant
  }
}
