/** What becomes of a Project whose node is lost: `onNodeLost` with its defaults; pure. Apart from project.ts for the agents' sake, see leaving.ts. */
import { durationToMs } from '../duration.ts';
import type { LOST_NODE_ACTIONS, ProjectSpec } from '../project.ts';

export interface LossPolicy {
  readonly action: (typeof LOST_NODE_ACTIONS)[number];
  readonly afterMs: number;
  readonly fence: boolean;
}

const DEFAULT_AFTER_MS = 180_000; // the contract's 3m

/** `onNodeLost` with its defaults: what holds no data of its own moves, what does waits for its node. */
export function deriveLossPolicy({ onNodeLost, volumes }: Pick<ProjectSpec, 'onNodeLost' | 'volumes'>): LossPolicy {
  const isStateless = (volumes ?? []).every(({ type }) => (type ?? 'Ephemeral') === 'Ephemeral');
  return {
    action: onNodeLost?.action ?? (isStateless ? 'Reschedule' : 'Keep'),
    afterMs: onNodeLost?.after === undefined ? DEFAULT_AFTER_MS : durationToMs(onNodeLost.after),
    fence: onNodeLost?.fence ?? false,
  };
}
