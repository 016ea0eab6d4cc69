/** The history of a Project's spec, and what is asked of it: going back, and restarting. */
import Type, { type Static } from 'typebox';
import { API_VERSION, Closed, OneOf, Text, Timestamp } from '../meta.ts';
import { DNS_LABEL } from '../names.ts';
import { ProjectSpec } from '../project.ts';

/** What became of a revision. `Superseded`: another came before it was good. */
export const REVISION_OUTCOMES = ['Progressing', 'Good', 'RolledBack', 'Failed', 'Superseded'] as const;
export type RevisionOutcome = (typeof REVISION_OUTCOMES)[number];

/** One spec that a Project had; its number is the generation that it made. */
export const ProjectRevision = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('ProjectRevision'),
  project: Type.String(),
  revision: Type.Integer({ minimum: 1, description: "The Project's generation" }),
  createdAt: Timestamp,
  cause: Type.String({ description: 'How it came about, such as: apply by alice; undo to revision 3; restart web' }),
  outcome: OneOf(REVISION_OUTCOMES, 'Good: every service of it was ready'),
  message: Type.Optional(Type.String({ description: 'Why it was rolled back or failed' })),
  isCurrent: Type.Boolean({ description: 'What is asked for now' }),
  isRunning: Type.Boolean({ description: 'What runs: the last that was good, while a later one is brought up or was rolled back' }),
  spec: ProjectSpec,
});
export type ProjectRevision = Readonly<Static<typeof ProjectRevision>>;

export const ProjectRevisionList = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('ProjectRevisionList'),
  items: Type.Array(ProjectRevision),
});
export interface ProjectRevisionList {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'ProjectRevisionList';
  /** oldest first */
  readonly items: readonly ProjectRevision[];
}

/** Body of `POST /projects/{name}/undo`. */
export const UndoRequest = Closed({
  toRevision: Type.Optional(
    Type.Integer({
      minimum: 1,
      expects: 'the number of a revision, as the history shows it',
      description: 'Without: the newest before the current one that was good',
    }),
  ),
});
export type UndoRequest = Readonly<Static<typeof UndoRequest>>;

/** Body of `POST /projects/{name}/restart`. */
export const RestartRequest = Closed({
  services: Type.Optional(Type.Array(Text(DNS_LABEL), { minItems: 1, maxItems: 128, description: 'Without: all' })),
});
export type RestartRequest = Readonly<Static<typeof RestartRequest>>;
