/** What a node and its services use now, asked of its agent. */
import type { Readable } from 'node:stream';
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { Closed } from '../../../api/meta.ts';
import type { NodeStats } from '../../../api/node/node-stats.ts';
import { withDeadline, type Clock } from '../../../base/clock.ts';
import { scopeFilter, type LabelsOf } from '../../auth/scope.ts';
import type { NodeLinks } from '../../tunnel/node-links.ts';
import { defineRoute, type Route } from '../route.ts';
import { nameOf } from './resource-routes.ts';

export interface NodeStatsDeps {
  readonly links: NodeLinks;
  readonly labelsOf: LabelsOf;
  readonly clock: Clock;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

const LIMIT_MS = 10_000; // of the agent itself: 5 s for all of its containers
const MAX_BYTES = 4 * 1024 * 1024; // some ten thousand containers

const Counter = (description: string) => Type.Optional(Type.Number({ description }));
const TRAFFIC = {
  receivedBytes: Counter('Since the start'),
  sentBytes: Counter('Since the start'),
};

const NodeStatsSchema = Closed({
  atMs: Type.Number({ description: 'ms of a clock of the agent: two samples make a rate' }),
  clock: Type.String({ description: 'Names that clock; another one begins anew' }),
  machine: Closed({
    cpuMillis: Type.Number({ description: 'What there is, in thousandths of a CPU' }),
    cpuUsedMs: Counter('CPU time since the start'),
    memoryBytes: Type.Number(),
    memoryUsedBytes: Type.Number(),
    diskBytes: Type.Number({ description: "Of the file system with the engine's data" }),
    diskUsedBytes: Type.Number(),
    ...TRAFFIC,
  }),
  services: Type.Array(
    Closed({
      project: Type.String(),
      service: Type.String(),
      containerId: Type.String({ description: 'Another container counts anew' }),
      atMs: Type.Number({ description: 'When it was looked at' }),
      cpuUsedMs: Counter('CPU time since the start'),
      memoryUsedBytes: Counter('Without the cache of files'),
      memoryLimitBytes: Counter('Its own; left out where it has none'),
      ...TRAFFIC,
      diskReadBytes: Counter('Since the start'),
      diskWrittenBytes: Counter('Since the start'),
    }),
  ),
  problem: Type.Optional(Type.String({ description: 'Why nothing is known of the services' })),
});

export function nodeStatsRoutes({ links, labelsOf, clock, stopSignal }: NodeStatsDeps): readonly Route[] {
  async function askNode(name: string): Promise<NodeStats> {
    using deadline = withDeadline(clock, LIMIT_MS, stopSignal);
    try {
      const { body } = await links.request(name, { method: 'GET', path: '/api/v1/stats' }, deadline.signal);
      return JSON.parse(await readText(body)) as NodeStats;
    } catch (cause) {
      if (!deadline.signal.aborted) {
        throw cause;
      }
      const [reason, why] = stopSignal.aborted
        ? (['Unavailable', 'the server is stopping'] as const)
        : (['NodeUnreachable', `its agent did not answer within ${LIMIT_MS / 1000} s`] as const);
      throw new ApiError(reason, `Cannot tell what node ${JSON.stringify(name)} uses as ${why}`, { cause });
    }
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/nodes/{name}/stats',
      summary: 'What a node and its services use: counters, of which two samples make rates; what is not known is left out',
      tag: 'nodes',
      access: { verb: 'read', resource: 'nodes' },
      answers: {
        200: { description: 'One sample', schema: NodeStatsSchema },
        404: { description: 'There is none of that name' },
        503: { description: 'There is no way to it; the answer says since when' },
      },
      handle: async ({ params, caller }) => {
        const stats = await askNode(nameOf(params));
        const isTheirs = scopeFilter(caller);
        const services = stats.services.filter(({ project: name }) =>
          isTheirs({ kind: 'Project', metadata: { name, labels: labelsOf('Project', name) ?? {} } }),
        );
        return { ...stats, services };
      },
    }),
  ];
}

/** @throws {ApiError} Unavailable where it is more than an agent has to say */
async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new ApiError('Unavailable', 'Cannot tell what the node uses as its agent says too much');
    }
  }
  return Buffer.concat(chunks).toString();
}
