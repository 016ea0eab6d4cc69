/** `GET /healthz`: the agent is alive, and what it knows of its surroundings. */
import { VERSION } from '../../base/version.ts';
import type { EngineState } from '../host/engine-monitor.ts';
import type { Standing } from '../session/session.ts';
import type { TrialState } from '../session/machine-trial.ts';
import { sendJson, type Route } from './agent-server.ts';

export interface HealthSources {
  readonly nodeName: string;
  readonly serverUrl: string;
  readonly standing: () => Standing;
  readonly trial: () => TrialState;
  readonly engine: () => EngineState;
}

/** Answers 200 for as long as the process answers at all: neither server nor engine is the agent's own health. */
export function healthRoute({ nodeName, serverUrl, standing, trial, engine }: HealthSources): Route {
  return {
    method: 'GET',
    path: /^\/healthz$/u,
    handle: (_request, response) => {
      const { isAvailable, message } = engine();
      sendJson(response, 200, {
        status: 'ok',
        node: nodeName,
        version: VERSION,
        serverUrl,
        standing: standing(),
        trial: trial(), // "held": starts nothing yet, as it may be a copy
        engine: { available: isAvailable, message },
      });
    },
  };
}
