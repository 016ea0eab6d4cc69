/**
 * What comes all at once, at the size that it may have: 10,000 connections that say nothing, 1,000 that never finish what they say, and 1,000
 * lists of the whole fleet; each while 5,000 agents beat every two seconds, of which none may be called NotReady after five. (5,000 agents
 * that come back after a restart: `fleet`, part `reconnect`.) The server is the real program on one core, the agents are on the other, with
 * the storm.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../scripts/lib/wait.ts';
import { makeScratch } from '../test/support/scratch.ts';
import { printTable, tell, type Figure } from './figures.ts';
import { startFleet, startPinned } from './fleet-parts.ts';
import { countNotReady } from './fleet-reconnect.ts';

const NODES = 5000;
const BEATS = 2500; // a second
const TIMEOUT = '5s';
const SECONDS = 12;
const WARM_UP_SECONDS = 2; // the agents' own connections open: no part of a storm
const IDLE = Math.min(10_000, readMostFiles() - 2000);
const SLOW = 1000;
const LISTS = 1000;

interface Target {
  readonly port: number;
  readonly signal: AbortSignal;
}

/** A storm lasts until its signal aborts. @returns more figures of it */
type Storm = (target: Target) => Promise<readonly Figure[]>;

function readMostFiles(): number {
  return Number(/^Max open files\s+\S+\s+(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 4096);
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await delay(600_000, undefined, { signal }).catch(() => undefined);
}

async function open(port: number, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(500, count - sockets.length) }, () => connect(port, '127.0.0.1')); // what the kernel queues
    some.forEach((socket) => socket.on('error', () => undefined));
    await until(() => some.every(({ readyState }) => readyState === 'open'), { what: 'connections', timeoutMs: 60_000, intervalMs: 5 });
    sockets.push(...some);
  }
  return sockets;
}

const idle: Storm = async ({ port, signal }) => {
  const sockets = await open(port, IDLE);
  await untilAborted(signal);
  const figure = tell('storms_idle_open', sockets.filter(({ readyState }) => readyState === 'open').length, 'connections');
  sockets.forEach((socket) => socket.destroy());
  return [figure];
};

const slow: Storm = async ({ port, signal }) => {
  const sockets = await open(port, SLOW);
  sockets.forEach((socket) => socket.write('POST /api/v1/nodes/x/heartbeat HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: '));
  while (!signal.aborted) {
    sockets.forEach((socket) => socket.write(' '));
    await delay(1000, undefined, { signal }).catch(() => undefined);
  }
  sockets.forEach((socket) => socket.destroy());
  return [];
};

const lists: Storm = async ({ port, signal }) => {
  const counts: Record<number, number> = {};
  const list = async (): Promise<void> => {
    const answered = Promise.withResolvers<void>();
    http
      .get({ host: '127.0.0.1', port, path: '/api/v1/nodes', agent: false }, (answer) => {
        answer.resume();
        answer.once('end', () => {
          counts[answer.statusCode ?? 0] = (counts[answer.statusCode ?? 0] ?? 0) + 1;
        });
        answer.once('close', () => answered.resolve());
      })
      .on('error', () => answered.resolve());
    await answered.promise;
  };
  await Promise.all(Array.from({ length: LISTS }, list));
  await untilAborted(signal);
  const told = (counts[200] ?? 0) + (counts[429] ?? 0);
  return [
    tell('storms_lists_given', counts[200] ?? 0, 'lists'),
    tell('storms_lists_told_to_come_again', counts[429] ?? 0, 'lists'),
    tell('storms_lists_lost', LISTS - told, 'lists'),
  ];
};

const calm: Storm = async ({ signal }) => {
  await untilAborted(signal);
  return [];
};

export async function run(): Promise<void> {
  using fleet = startFleet();
  using scratch = makeScratch();
  await using server = await startPinned(scratch.path, { NODE_HEARTBEAT_TIMEOUT: TIMEOUT });
  const { port } = server;
  const everyone = { port, from: 0, to: NODES, connections: 400 }; // more at once than the kernel queues would be reset
  await fleet.act({ ...everyone, saying: 'register' });
  const beat = { ...everyone, saying: 'beat', perSecond: BEATS } as const;
  await fleet.act({ ...beat, seconds: 4 }); // all are Ready
  const seen = new AbortController();
  const notReady = countNotReady(server, seen.signal);
  const figures: Figure[] = [];
  for (const [name, storm] of Object.entries({ calm, idle, slow, lists })) {
    const over = new AbortController();
    const raging = delay(WARM_UP_SECONDS * 1000).then(async () => await storm({ port, signal: over.signal }));
    const beats = await fleet.act({ ...beat, seconds: SECONDS, warmUpSeconds: WARM_UP_SECONDS });
    over.abort();
    figures.push(
      tell(`storms_${name}_beat_p99`, beats.p99Ms, 'ms'),
      tell(`storms_${name}_beat_longest`, beats.longestMs, 'ms'),
      ...(await raging),
    );
  }
  seen.abort();
  const [, peak] = /^VmHWM:\s+(\d+)/mu.exec(readFileSync(`/proc/${server.program.pid}/status`, 'utf8')) ?? [];
  figures.push(tell('storms_not_ready', await notReady, 'nodes'), tell('storms_server_memory_at_most', Number(peak) / 1024, 'MiB'));
  printTable(figures);
}
