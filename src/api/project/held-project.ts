/** What an agent runs on with after the control plane was restored to an older state that does not know it, or not as it is. */
import Type, { type Static } from 'typebox';
import { API_VERSION, Closed, OneOf, Text, Timestamp } from '../meta.ts';
import { DNS_SUBDOMAIN } from '../names.ts';
import { ProjectSpec, UsedSecret } from '../project.ts';

/** As much as an agent tells of: more Projects than one node has. */
const MAX_HELD = 2_000;

const Words = Type.Record(Type.String({ maxLength: 512 }), Type.String({ maxLength: 262_144 }));

/** A Project as its agent was told last. */
export const HeldProject = Closed({
  metadata: Closed({
    name: Text(DNS_SUBDOMAIN),
    uid: Type.String({ minLength: 1, maxLength: 64 }),
    generation: Type.Integer({ minimum: 1 }),
    labels: Words,
    annotations: Words,
    createdAt: Timestamp,
  }),
  spec: ProjectSpec,
  assignment: Type.Integer({ minimum: 0 }),
  secrets: Type.Optional(Type.Array(UsedSecret)),
});
export type HeldProject = Readonly<Static<typeof HeldProject>>;

/** All that a node holds, under the epoch since which it does. */
export const HeldReport = Closed({ epoch: Type.String({ maxLength: 64 }), projects: Type.Array(HeldProject, { maxItems: MAX_HELD }) });
export type HeldReport = Readonly<Static<typeof HeldReport>>;

/**
 * How it differs from what the server knows: `Unknown`, there is no Project of that name; `Newer`, its spec is another, newer one;
 * `Elsewhere`, the server has it on another node; `Recreated`, the name is another Project's now.
 */
const HELD_REASONS = ['Unknown', 'Newer', 'Elsewhere', 'Recreated'] as const;

export const HeldView = Closed({
  project: Type.String(),
  node: Type.String(),
  uid: Type.String(),
  reason: OneOf(HELD_REASONS),
  message: Type.String(),
  services: Type.Array(Type.String()),
  heldSince: Timestamp,
});
export type HeldView = Readonly<Static<typeof HeldView>>;

export const HeldListSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('HeldProjectList'),
  items: Type.Array(HeldView),
});
