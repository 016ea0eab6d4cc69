/**
 * What of a server makes, keeps and shows Events, in virtual time: mirrors, nodes, source, recorder and routes.
 *
 * Owns     all of it until disposed of; the store stays open.
 */
import assert from 'node:assert/strict';
import fastify from 'fastify';
import type { EventObject } from '../../../src/api/event.ts';
import type { NodeObject } from '../../../src/api/node.ts';
import type { ProjectObject } from '../../../src/api/project.ts';
import { createMetrics } from '../../../src/base/metrics.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { Stopper } from '../../../src/base/stopper.ts';
import { createCrowdEvents } from '../../../src/server/events/crowd-events.ts';
import { EVERYONE } from '../../../src/server/auth/caller.ts';
import { createEventRecorder } from '../../../src/server/events/event-recorder.ts';
import { createEventService } from '../../../src/server/events/event-service.ts';
import { createEventSource } from '../../../src/server/events/event-source.ts';
import { replyWithNoRoute, replyWithProblem } from '../../../src/server/http/problem-reply.ts';
import { SharedLines } from '../../../src/server/http/shared-lines.ts';
import { toFastifyPath } from '../../../src/server/http/route.ts';
import { eventRoutes } from '../../../src/server/http/routes/events.ts';
import { startNodes } from '../../../src/server/nodes/start-nodes.ts';
import { createProjectService } from '../../../src/server/projects/project-service.ts';
import { createMemoryStore } from '../../../src/store/memory-store.ts';
import { createMirror } from '../../../src/store/mirror.ts';
import type { Store } from '../../../src/store/store.ts';
import { silentLog } from '../stores/store-backends.ts';
import { VirtualClock } from '../time/virtual-clock.ts';

export const HEARTBEAT_TIMEOUT_MS = 90_000;

interface Options {
  readonly clock?: VirtualClock;
  readonly store?: Store;
}

/** Starts it; it listens once asked to. */
export async function startEventServer(options: Options = {}) {
  const { clock = new VirtualClock() } = options;
  const { store = createMemoryStore({ clock }) } = options;
  const metrics = createMetrics();
  const base = { store, clock, random: systemRandom, log: silentLog, metrics };
  const crashes: unknown[] = [];
  const stopper = new Stopper((_name, error) => crashes.push(error));
  const nodes = createMirror<NodeObject>({ ...base, kind: 'Node' });
  const projects = createMirror<ProjectObject>({ ...base, kind: 'Project' });
  const recorder = createEventRecorder(base);
  const crowds = createCrowdEvents({ ...base, recorder, clusterId: 'uid-of-cluster' });
  const source = createEventSource({ nodes, projects, recorder, crowds });
  stopper.spawn('crowd-events', (signal) => crowds.run(signal));
  stopper.spawn('event-recorder', (signal) => recorder.run(signal));
  const { registry, service } = await startNodes({
    ...base,
    nodes,
    stopper,
    heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
    longestAfterMs: () => 0,
  });
  stopper.spawn('project-mirror', (signal) => projects.run(signal));
  await projects.ready();

  const app = fastify();
  const open = { bearers: { hold: () => () => undefined }, labelsOf: () => undefined };
  const routes = eventRoutes({ ...base, events: createEventService(base), lines: new SharedLines(), stopSignal: stopper.signal, ...open });
  app.decorateRequest('caller');
  app.addHook('onRequest', (request, _reply, done) => {
    request.caller = EVERYONE;
    done();
  });
  app.setErrorHandler((error, request, reply) => replyWithProblem(error, request, reply, silentLog));
  app.setNotFoundHandler((request, reply) => replyWithNoRoute(routes, request, reply));
  for (const route of routes) {
    app.route({ method: route.method, url: toFastifyPath(route.path), handler: (request, reply) => route.run(request, reply) });
  }
  const get = async (path: string, method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' = 'GET') => {
    const answer = await app.inject({ method, url: `/api/v1${path}` });
    return { status: answer.statusCode, body: answer.json() };
  };
  let url: Promise<string> | undefined;
  const reasons = async (query = ''): Promise<readonly string[]> =>
    ((await get(`/events${query}`)).body as { items: readonly EventObject[] }).items.map(({ reason, count }) =>
      count === 1 ? reason : `${reason} x${count}`,
    );
  return {
    clock,
    stopper,
    recorder,
    nodeService: service,
    projectService: createProjectService(base),
    version: () => store.version(),
    get,
    /** Listens on a free port. @returns the URL */
    listen: () => (url ??= app.listen({ host: '127.0.0.1', port: 0 })),
    reasons,
    beat: (name: string) => registry.recordHeartbeat(name, '{}', () => ({})),
    [Symbol.asyncDispose]: async () => {
      source[Symbol.dispose]();
      await Promise.all([app.close(), stopper.stop()]);
      metrics.close();
      assert.deepEqual(crashes, []);
    },
  };
}
