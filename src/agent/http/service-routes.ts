/** What the server can ask about the services of this node. Callers: composition.ts */
import type { Stopper } from '../../base/stopper.ts';
import { endLeftover } from '../exec/end-process.ts';
import { execRoute, type ExecSources } from './exec.ts';
import { forwardRoute } from './forward.ts';
import type { LogSources } from './log-reading.ts';
import { logRoute } from './logs.ts';
import type { Route } from './route.ts';

export interface ServiceSources extends LogSources {
  readonly engine: LogSources['engine'] & ExecSources['engine'];
  readonly stopper: Stopper;
}

export function serviceRoutes(sources: ServiceSources): readonly Route[] {
  const { stopper } = sources;
  const exec = execRoute({
    ...sources,
    abandon: (left) => stopper.spawn('left-over command', (signal) => endLeftover(sources, left, signal)),
    stopSignal: stopper.signal,
  });
  return [logRoute(sources), forwardRoute(sources), exec];
}
