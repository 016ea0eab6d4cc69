/** The Event resource: what happened to an object, told once and counted after that. Written by the system alone. */
import Type from 'typebox';
import { API_VERSION, Closed, Meta, OneOf, Text, Timestamp, type ObjectMeta } from './meta.ts';
import { DNS_SUBDOMAIN, type Grammar } from './names.ts';

export const EVENT_TYPES = ['Normal', 'Warning'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Characters of a message; what is longer is cut. Kubernetes' bound. */
export const MAX_EVENT_MESSAGE = 1024;

/** `Kind/name`, as the query `object` has it. */
export const OBJECT_REFERENCE = {
  pattern: `^[A-Z][A-Za-z]{0,62}/${DNS_SUBDOMAIN.pattern.slice(1)}`,
  expects: 'a kind and a name, such as Node/worker-01 or Project/shop',
  maxLength: 317,
} as const satisfies Grammar;

/** Which object an Event is about; `uid` tells it from others that had its name before or after. */
export interface EventSubject {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface EventObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Event';
  /** `name` follows from object, type and reason: what happens again is an update of the same Event */
  readonly metadata: ObjectMeta;
  readonly object: EventSubject;
  readonly type: EventType;
  /** CamelCase word for what happened */
  readonly reason: string;
  /** of the last time */
  readonly message: string;
  /** how often it happened from `firstSeen` to `lastSeen` */
  readonly count: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
}

/** The schema of EventObject, for answers and documentation. */
export const EventSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Event'),
  metadata: Meta,
  object: Closed({ kind: Type.String(), name: Text(DNS_SUBDOMAIN), uid: Type.String() }, 'What it is about'),
  type: OneOf(EVENT_TYPES),
  reason: Type.String({ pattern: '^[A-Z][A-Za-z0-9]*$', maxLength: 64, description: 'CamelCase word for what happened' }),
  message: Type.String({ maxLength: MAX_EVENT_MESSAGE, description: 'Of the last time' }),
  count: Type.Integer({ minimum: 1, description: 'How often it happened from firstSeen to lastSeen' }),
  firstSeen: Timestamp,
  lastSeen: Timestamp,
});
