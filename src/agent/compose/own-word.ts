/**
 * Own word: what this agent says of what is so here. Refused, and so kept for later by whoever wanted to say it, while what is so here may
 * not be what is so on the node.
 *
 * Callers  supervise.ts.
 */
import { ApiError } from '../../api/errors.ts';
import type { CaraClient } from '../../client/cara-client.ts';

interface Circumstances {
  /** another machine holds the name of this node */
  readonly isRefused: () => boolean;
  /** another machine of this identity may be up */
  readonly isHeld: () => boolean;
  /** as HeldKeeper has it */
  readonly epoch: () => string;
}

/** The parts of the client that tell what is so here. */
export interface OwnWord extends Pick<CaraClient, 'reportStatus'> {
  readonly held: Pick<CaraClient['held'], 'report'>;
  readonly volumes: Pick<CaraClient['volumes'], 'report'>;
}

export function createOwnWord(client: CaraClient, { isRefused, isHeld, epoch }: Circumstances): OwnWord {
  const assertOwnName = (what: string): void => {
    if (isRefused()) {
      throw new ApiError('Unavailable', `Cannot report on ${what} while another machine holds the name of this node`);
    }
    if (isHeld()) {
      const message = `Cannot report on ${what} before the server has made sure that no other machine of this identity is up`;
      throw new ApiError('Unavailable', message, { retryAfterMs: 1000 });
    }
  };
  return {
    reportStatus: async (project, report, signal) => {
      assertOwnName('Projects');
      await client.reportStatus(project, { ...report, epoch: epoch() }, signal);
    },
    held: {
      report: async (node, report, signal) => {
        assertOwnName('held Projects');
        await client.held.report(node, report, signal);
      },
    },
    volumes: {
      report: async (node, report, signal) => {
        assertOwnName('volumes');
        await client.volumes.report(node, report, signal);
      },
    },
  };
}
