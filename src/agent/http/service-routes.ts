/** What the server can ask about the services of this node. Callers: composition.ts */
import { forwardRoute, type ForwardSources } from './forward.ts';
import type { Route } from './route.ts';

export function serviceRoutes(sources: ForwardSources): readonly Route[] {
  return [forwardRoute(sources)];
}
