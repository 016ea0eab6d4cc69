/** The Volume: a volume of this cluster on a node's engine, as its agent reports it, also where its Project is gone. Written by the system alone. */
import Type, { type Static } from 'typebox';
import { API_VERSION, Closed, Meta, OneOf, Text, Timestamp, type ObjectMeta } from './meta.ts';
import { DNS_LABEL, DNS_SUBDOMAIN, type Grammar } from './names.ts';
import { MAX_VOLUMES } from './volume-rules.ts';

const REPORTED_TYPES = ['Ephemeral', 'Managed'] as const;

/** How a deletion stands: asked for; taken up by the agent; ended without the volume being removed. One that succeeded leaves no Volume. */
const DELETION_STATES = ['Pending', 'Removing', 'Failed', 'Cancelled'] as const;

/** What engines take as a volume's name. */
const ENGINE_NAME = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
  expects: 'a name of a volume on the node, such as cara_shop_data',
  maxLength: 255,
} as const satisfies Grammar;

const TypeField = OneOf(REPORTED_TYPES, 'Managed ones stay until a command names them; Ephemeral ones go with their Project');
const MadeAt = Type.String({ maxLength: 40, description: 'When it was made; left out where that is not known' });
const Size = Type.Integer({ minimum: 0, description: 'Bytes; left out where the engine does not tell it cheaply' });
const Uid = Type.String({ maxLength: 64 });

/** One volume in an agent's report. `projectUid` and `madeAt` tell it from another of its name before or after it. */
export const ReportedVolume = Closed({
  name: Text(ENGINE_NAME),
  project: Text(DNS_SUBDOMAIN),
  projectUid: Uid,
  volume: Text(DNS_LABEL, 'Its name in the Project'),
  type: TypeField,
  madeAt: Type.Optional(MadeAt),
  sizeBytes: Type.Optional(Size),
});
export type ReportedVolume = Readonly<Static<typeof ReportedVolume>>;

/** All volumes of this cluster on a node. */
export const VolumeReport = Closed({ volumes: Type.Array(ReportedVolume, { maxItems: MAX_VOLUMES }) });
export type VolumeReport = Static<typeof VolumeReport>;

const DeletionSchema = Closed({
  id: Type.String({ description: 'Names this request to delete it' }),
  state: OneOf(DELETION_STATES),
  requestedAt: Timestamp,
  deadline: Timestamp,
  message: Type.Optional(Type.String()),
});
export type VolumeDeletion = Readonly<Static<typeof DeletionSchema>>;

/** What an agent says of a deletion: before it begins, and how it ended. */
export const DeletionUpdate = Closed({
  id: Type.String({ maxLength: 64 }),
  state: OneOf(['Removing', 'Done', 'Failed'] as const),
  message: Type.Optional(Type.String({ maxLength: 1024 })),
});
export type DeletionUpdate = Readonly<Static<typeof DeletionUpdate>>;

/** The answer to an agent that is to begin. */
export const DeletionGrant = Closed({ leftMs: Type.Number({ description: 'Milliseconds; then it must not begin any more' }) });
export type DeletionGrant = Readonly<Static<typeof DeletionGrant>>;

export interface VolumeObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Volume';
  /** `name` is `NODE/NAME` */
  readonly metadata: ObjectMeta;
  readonly status: ReportedVolume & {
    readonly node: string;
    /** whether a Project uses it; only in answers */
    readonly inUse?: boolean;
    readonly deletion?: VolumeDeletion;
  };
}

export const VolumeSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Volume'),
  metadata: Closed({ ...Meta.properties, name: Type.String({ description: 'NODE/NAME' }) }),
  status: Closed({
    ...ReportedVolume.properties,
    node: Text(DNS_SUBDOMAIN),
    inUse: Type.Optional(Type.Boolean({ description: 'Whether a Project on the node, or one that may come to it, uses it' })),
    deletion: Type.Optional(DeletionSchema),
  }),
});
