/** Routes about the server itself: alive, ready, measured, described. */
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { VersionReport } from '../../../api/version-report.ts';
import { VERSION } from '../../../base/version.ts';
import type { ServerMetrics } from '../../../base/metrics.ts';
import type { Store } from '../../../store/store.ts';
import type { Cluster } from '../../cluster.ts';
import { defineRoute, type Route } from '../route.ts';

const Health = Closed({ status: Type.String(), warnings: Type.Optional(Type.Array(Type.String())) });

export interface HealthRoutesDeps {
  readonly store: Store;
  readonly metrics: ServerMetrics;
  readonly cluster: Cluster;
  /** what is wrong though the server serves, in sentences */
  readonly warnings: () => readonly string[];
  readonly stopSignal: AbortSignal;
  readonly describeApi: () => object;
  /** sets the gauges that are counted at each scrape */
  readonly measure: () => Promise<void>;
}

export function healthRoutes({ store, metrics, cluster, warnings, stopSignal, describeApi, measure }: HealthRoutesDeps): readonly Route[] {
  const tag = 'server';
  return [
    defineRoute({
      method: 'GET',
      path: '/api/healthz',
      access: 'anyone',
      summary: 'Whether the server is alive',
      tag,
      answers: { 200: { description: 'It is', schema: Health } },
      handle: () => ({ status: 'ok' }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/readyz',
      access: 'anyone',
      summary: 'Whether the store answers, and the server is not stopping',
      tag,
      answers: { 200: { description: 'It does', schema: Health } },
      handle: async () => {
        if (stopSignal.aborted) {
          throw new ApiError('Unavailable', 'Cannot serve as the server is stopping');
        }
        await store.ping();
        const found = warnings();
        return { status: 'ok', ...(found.length > 0 && { warnings: found }) };
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/version',
      access: 'anyone',
      summary: 'Version of the server and of the API, the id of the cluster, and since when its state is a restored one',
      tag,
      answers: { 200: { description: 'The versions', schema: VersionReport } },
      handle: () => ({
        version: VERSION,
        apiVersion: API_VERSION,
        clusterId: cluster.id,
        ...(cluster.epoch !== undefined && { epoch: cluster.epoch }),
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/metrics',
      access: { verb: 'read', resource: 'metrics' },
      summary: 'Metrics for Prometheus',
      tag,
      answers: { 200: { description: 'The metrics', schema: Type.String(), mediaType: metrics.registry.contentType } },
      handle: async ({ reply }) => {
        await measure();
        const text = await metrics.registry.metrics();
        return reply.header('content-type', metrics.registry.contentType).send(text);
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/openapi.json',
      access: 'anyone',
      summary: 'This description',
      tag,
      answers: { 200: { description: 'The OpenAPI document', schema: Type.Object({}) } },
      handle: () => describeApi(),
    }),
  ];
}
