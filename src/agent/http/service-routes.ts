/** What the server can ask about the services of this node. Callers: composition.ts */
import { forwardRoute } from './forward.ts';
import type { LogSources } from './log-reading.ts';
import { logRoute } from './logs.ts';
import type { Route } from './route.ts';

export function serviceRoutes(sources: LogSources): readonly Route[] {
  return [logRoute(sources), forwardRoute(sources)];
}
