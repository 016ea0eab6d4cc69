/** Routes about the server itself: alive, ready, measured, described. */
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { CA_PATH } from '../../../api/fingerprint.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { VersionReport } from '../../../api/version-report.ts';
import { VERSION } from '../../../base/version.ts';
import type { ServerMetrics } from '../../../base/metrics.ts';
import type { Store } from '../../../store/store.ts';
import type { Cluster } from '../../cluster/cluster-record.ts';
import { defineRoute, type Route } from '../route.ts';

const Health = Closed({ status: Type.String(), warnings: Type.Optional(Type.Array(Type.String())) });

const PEM_TYPE = 'application/x-pem-file';

export interface HealthRoutesDeps {
  readonly store: Store;
  readonly metrics: ServerMetrics;
  readonly cluster: Cluster;
  /** what is wrong though the server serves, in sentences */
  readonly warnings: () => readonly string[];
  /** authorities that clients of this server may pin, in PEM */
  readonly authorities?: () => readonly string[];
  readonly stopSignal: AbortSignal;
  readonly describeApi: () => object;
  /** sets the gauges that are counted at each scrape */
  readonly measure: () => Promise<void>;
}

export function healthRoutes(deps: HealthRoutesDeps): readonly Route[] {
  const { store, metrics, cluster, warnings, authorities, stopSignal, describeApi, measure } = deps;
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
      path: CA_PATH,
      access: 'anyone', // whoever asks compares it with a fingerprint that they were given
      summary: "The authorities that this server's certificate comes from, for clients that were given the fingerprint of one",
      tag,
      answers: {
        200: { description: 'Certificates in PEM', schema: Type.String(), mediaType: PEM_TYPE },
        404: { description: 'There are none to pin: it speaks plain HTTP, or its authority is one that everybody knows' },
      },
      handle: ({ reply }) => {
        const found = authorities?.() ?? [];
        if (found.length === 0) {
          throw new ApiError(
            'NotFound',
            'Cannot show an authority as the certificate of this server, if it has one, comes from none of its own',
          );
        }
        return reply.header('content-type', PEM_TYPE).send(found.join(''));
      },
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
