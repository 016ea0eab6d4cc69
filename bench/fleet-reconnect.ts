/** kill -9 of a server with 5,000 agents, and its start: how soon all are back, and whether any was called NotReady meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeObject } from '../src/api/node.ts';
import { systemClock } from '../src/base/clock.ts';
import { createCaraClient } from '../src/client/cara-client.ts';
import { createTransport } from '../src/client/transport.ts';
import { makeScratch } from '../test/support/scratch.ts';
import { tell, type Figure } from './figures.ts';
import { startPinned, startSessions, type Server } from './fleet-parts.ts';
import { cpuMs } from './process-usage.ts';

const AGENTS = 5000;
const INTERVAL_MS = 10_000; // a third of the default: three times the load
const TIMEOUT_MS = 30_000;

/** Counts what a watcher is told of NotReady, from now on until the signal aborts. */
export async function countNotReady(server: Server, signal: AbortSignal): Promise<number> {
  const { nodes } = createCaraClient(createTransport({ serverUrl: server.program.url, userAgent: 'bench', clock: systemClock }));
  const isNotReady = ({ status }: NodeObject): boolean => status.state === 'NotReady';
  const { items, metadata } = await nodes.list({}, signal);
  let count = items.filter(isNotReady).length;
  try {
    for await (const event of nodes.watch({ since: metadata.resourceVersion }, signal)) {
      count += event.type !== 'BOOKMARK' && isNotReady(event.object) ? 1 : 0;
    }
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
  return count;
}

export async function benchReconnect(): Promise<readonly Figure[]> {
  using scratch = makeScratch();
  const env = { NODE_HEARTBEAT_TIMEOUT: `${TIMEOUT_MS}ms` };
  await using before = await startPinned(scratch.path, env);
  using sessions = startSessions(before.program.url, AGENTS, INTERVAL_MS);
  const joinedMs = await sessions.allBack();
  await delay(INTERVAL_MS);
  const killedMs = performance.now();
  await before.program.kill();
  await using after = await startPinned(scratch.path, { ...env, PORT: String(before.port) });
  const startedMs = performance.now();
  sessions.startCount();
  const stop = new AbortController();
  const notReady = countNotReady(after, stop.signal);
  const backMs = await sessions.allBack();
  const cpu = cpuMs(after.program.pid);
  await delay(Math.max(0, startedMs + TIMEOUT_MS + 2000 - performance.now())); // had one not come back, it would be told now
  stop.abort();
  const prefix = `fleet_reconnect_${AGENTS}`;
  return [
    tell(`${prefix}_joined`, joinedMs, 'ms'),
    tell(`${prefix}_server_start`, startedMs - killedMs, 'ms'),
    tell(`${prefix}_all_back`, backMs, 'ms', INTERVAL_MS),
    tell(`${prefix}_cpu`, cpu, 'ms'), // of the server, from its start until all were back
    tell(`${prefix}_not_ready`, await notReady, 'nodes'),
  ];
}
