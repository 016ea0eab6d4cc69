/** `GET /healthz`: the agent is alive, and what it knows of its surroundings. The server has it prove there that it is the right one. */
import { ApiError } from '../../api/errors.ts';
import { NONCE_HEADER } from '../../api/headers.ts';
import { VERSION } from '../../base/version.ts';
import type { EngineState } from '../host/engine-monitor.ts';
import type { Standing } from '../session/standing.ts';
import type { TrialState } from '../session/machine-trial.ts';
import type { AgentAccess } from './access.ts';
import { jsonReply, type Route } from './route.ts';

export interface HealthSources {
  readonly nodeName: string;
  readonly serverUrl: string;
  readonly standing: () => Standing;
  readonly trial: () => TrialState;
  readonly engine: () => EngineState;
  readonly access: Pick<AgentAccess, 'prove'>;
}

/** Answers 200 for as long as the process answers at all: neither server nor engine is the agent's own health. */
export function healthRoute({ nodeName, serverUrl, standing, trial, engine, access }: HealthSources): Route {
  return {
    kind: 'reply',
    path: /^\/healthz$/u,
    isPublic: true,
    handle: ({ header }) => {
      const { isAvailable, message } = engine();
      const nonce = header(NONCE_HEADER);
      const proof = nonce === undefined ? undefined : access.prove(checkNonce(nonce));
      return jsonReply(200, {
        status: 'ok',
        node: nodeName,
        version: VERSION,
        serverUrl,
        standing: standing(),
        trial: trial(), // "held": starts nothing yet, as it may be a copy
        engine: { available: isAvailable, message },
        ...(proof !== undefined && { proof }),
      });
    },
  };
}

function checkNonce(nonce: string): string {
  if (!/^[A-Za-z0-9_-]{16,64}$/u.test(nonce)) {
    throw new ApiError('Invalid', `Cannot prove anything as ${NONCE_HEADER} must be 16 to 64 letters and digits`);
  }
  return nonce;
}
