/**
 * Topics: objects of which a field has one value, such as the Projects of a node. Whoever asks for a topic costs nothing when others
 * change: with a list or a watch for each node, every change would cost as much as the fleet is large.
 *
 * Callers  documents.ts and change-log.ts find by them; http/routes/* say which one a request is about.
 */
import type { StoredObject } from './store.ts';

export interface Topic {
  /** the way to it, such as "status.nodeRef" */
  readonly field: string;
  readonly value: string;
}

/** @returns undefined where there is none, or no text */
export function readField(object: StoredObject, field: string): string | undefined {
  let value: unknown = object;
  for (const key of field.split('.')) {
    if (typeof value !== 'object' || value === null) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return typeof value === 'string' ? value : undefined;
}

export function isOfTopic(object: StoredObject, { field, value }: Topic): boolean {
  return readField(object, field) === value;
}
