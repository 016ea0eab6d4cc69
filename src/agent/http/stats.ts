/** `GET /api/v1/stats`: what this node and its services use. */
import type { StatsReader } from '../stats/stats-reader.ts';
import { jsonReply, type Route } from './route.ts';

export function statsRoute(reader: StatsReader): Route {
  return { kind: 'reply', path: /^\/api\/v1\/stats$/u, handle: async () => jsonReply(200, await reader.read()) };
}
