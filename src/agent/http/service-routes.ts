/** What the server can ask about the services of this node. Callers: composition.ts */
import type { Stopper } from '../../base/stopper.ts';
import { endFormer, endLeftover } from '../exec/end-process.ts';
import type { ExecLedger } from '../exec/exec-ledger.ts';
import { execRoute, type ExecSources } from './exec.ts';
import { forwardRoute } from './forward.ts';
import type { LogSources } from './log-reading.ts';
import { logRoute } from './logs.ts';
import type { Route } from './route.ts';

export interface ServiceSources extends LogSources {
  readonly engine: LogSources['engine'] & ExecSources['engine'];
  readonly stopper: Stopper;
  readonly ledger: ExecLedger;
}

export function serviceRoutes(sources: ServiceSources): readonly Route[] {
  const { stopper, ledger } = sources;
  for (const left of ledger.recall()) {
    stopper.spawn('left-over command', async (signal) => {
      await endFormer(sources, left, signal);
      ledger.over(left.execId);
    });
  }
  const exec = execRoute({
    ...sources,
    abandon: (left) => {
      stopper.spawn('left-over command', async (signal) => {
        await endLeftover(sources, left, signal);
        ledger.over(left.execId);
      });
    },
    stopSignal: stopper.signal,
  });
  return [logRoute(sources), forwardRoute(sources), exec];
}
