/** Emptying a node, and moving one Project: what is asked for, and what comes of it for each Project. */
import Type, { type Static } from 'typebox';
import { Closed, OneOf, Text } from '../meta.ts';
import { DNS_SUBDOMAIN } from '../names.ts';

/** Body of `POST /nodes/{name}/drain` and of `POST /projects/{name}/move`. */
export const MoveRequest = Closed({
  dryRun: Type.Optional(Type.Boolean({ description: 'Only say what would become of each Project' })),
  to: Type.Optional(Text(DNS_SUBDOMAIN, 'The node to go to; without it the scheduler chooses')),
});
export type MoveRequest = Readonly<Static<typeof MoveRequest>>;

/** `Move`: leaves the node. `Keep`: cannot. `Wait`: nothing to ask of it, it only has to be waited for. */
export const DRAIN_ACTIONS = ['Move', 'Keep', 'Wait'] as const;

export const DRAIN_REASONS = [
  /** Move */
  'Fits',
  /** Move: it was asked before, its agent is at it */
  'Moving',
  /** Keep */
  'ManagedVolume',
  'HostPathVolume',
  'Unschedulable',
  /** Keep, or Wait for one that was asked before */
  'NodeNotReady',
  /** Wait: it is being deleted */
  'Terminating',
] as const;
export type DrainReason = (typeof DRAIN_REASONS)[number];

export const DrainEntry = Closed({
  project: Type.String(),
  action: OneOf(DRAIN_ACTIONS),
  to: Type.Optional(
    Type.String({ description: 'Where it would go now; the scheduler decides anew when it has left, unless the request names a node' }),
  ),
  reason: OneOf(DRAIN_REASONS),
  message: Type.String(),
});
export type DrainEntry = Readonly<Static<typeof DrainEntry>>;

/** The answer: every Project that is on the node, oldest first. */
export const DrainPlan = Closed({ node: Type.String(), projects: Type.Array(DrainEntry) });
export interface DrainPlan {
  readonly node: string;
  readonly projects: readonly DrainEntry[];
}
