/** What every object has: apiVersion, kind, metadata. */
import Type, { type TSchema } from 'typebox';
import { DNS_SUBDOMAIN, LABEL_KEY, LABEL_VALUE, type Grammar } from './names.ts';

export const API_VERSION = 'caravanserai/v1';

/** Kinds that users see. */
export const KINDS = ['Node', 'Project', 'Secret'] as const;
export type Kind = (typeof KINDS)[number];

/** A string that follows `grammar`; `expects` travels with the schema, so that a refusal can say what would be right. */
export function Text(grammar: Grammar, description?: string): ReturnType<typeof Type.String> {
  return Type.String({
    pattern: grammar.pattern,
    ...(grammar.maxLength !== undefined && { maxLength: grammar.maxLength }),
    expects: grammar.expects,
    ...(description !== undefined && { description }),
  });
}

/** One of `values`, in exactly this spelling. */
export function OneOf<const Values extends readonly string[]>(values: Values, description?: string) {
  // the explicit tuple keeps the literals: without it the static type is string
  return Type.Enum<[...Values]>([...values], { expects: `one of ${values.join(', ')}`, ...(description !== undefined && { description }) });
}

/** An object that has no fields but these. */
export function Closed<Properties extends Record<string, TSchema>>(properties: Properties, description?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(description !== undefined && { description }) });
}

/** A map whose keys follow `key`. */
export function MapOf<Value extends TSchema>(key: Grammar, value: Value, description?: string) {
  return Type.Record(Type.String({ pattern: key.pattern }), value, {
    additionalProperties: false,
    keyExpects: key.expects,
    maxProperties: 256,
    ...(description !== undefined && { description }),
  });
}

export const Timestamp = Type.String({
  pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$',
  expects: 'an RFC 3339 time such as 2027-01-01T00:00:00Z',
  maxLength: 40,
});

/** Label key -> label value. */
export const Labels = MapOf(LABEL_KEY, Text(LABEL_VALUE), 'Key/value pairs for grouping and selection');
/** Annotation key -> free text of at most 64 KiB. */
export const Annotations = MapOf(LABEL_KEY, Type.String({ maxLength: 65_536 }), 'Free text kept with the object; never selected by');

/** What a user writes under `metadata`. Fields that the server owns are accepted, so that what was read can be sent back, and ignored. */
const SERVER_FIELDS = {
  uid: Type.Optional(Type.String({ description: 'Unique over all objects and all time; written by the server' })),
  resourceVersion: Type.Optional(
    Type.String({ description: 'Opaque; moves with each write. Given in PUT or PATCH, it must be the current one' }),
  ),
  generation: Type.Optional(Type.Integer({ description: '+1 when spec changes; written by the server' })),
  createdAt: Type.Optional(Timestamp),
  updatedAt: Type.Optional(Timestamp),
  deletedAt: Type.Optional(Timestamp),
};

export const ManifestMeta = Closed({
  name: Text(DNS_SUBDOMAIN, 'Unique per kind'),
  labels: Type.Optional(Labels),
  annotations: Type.Optional(Annotations),
  ...SERVER_FIELDS,
});

/** Null in an applied manifest removes the entry. */
const orNull = <Value extends TSchema>(value: Value, expects: string) =>
  Type.Union([value, Type.Null()], { expects: `${expects}, or null to remove it` });

/** `metadata` of a manifest that is applied: what it leaves out stays, null removes. */
export const ApplyMeta = Closed({
  name: Text(DNS_SUBDOMAIN, 'Unique per kind'),
  labels: Type.Optional(MapOf(LABEL_KEY, orNull(Text(LABEL_VALUE), LABEL_VALUE.expects))),
  annotations: Type.Optional(MapOf(LABEL_KEY, orNull(Type.String({ maxLength: 65_536 }), 'text'))),
  ...SERVER_FIELDS,
});

export type Labels = Readonly<Record<string, string>>;

/** `metadata` as the server keeps it: everything but deletedAt is always there. */
export interface ObjectMeta {
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Readonly<Record<string, string>>;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deletedAt?: string;
}

/** The schema of ObjectMeta, for answers. */
export const Meta = Closed({
  name: Text(DNS_SUBDOMAIN),
  labels: Labels,
  annotations: Annotations,
  uid: Type.String(),
  resourceVersion: Type.String(),
  generation: Type.Integer(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  deletedAt: Type.Optional(Timestamp),
});

/** A list answer. `continue` is there when more follow. */
export interface ObjectList<Item> {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Item[];
}
