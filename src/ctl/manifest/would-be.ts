/** What an object would be once a manifest is applied: the part of it that people write. Pure. Callers: commands/diff.ts. */
import type { SecretObject } from '../../api/secret.ts';
import type { AnyObject } from '../resource-view.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface Written {
  readonly metadata: { readonly labels?: Fields; readonly annotations?: Fields };
  readonly [field: string]: unknown;
}

/** The written part of an object as it is; of a Secret without its values, which stay on the server. */
export function writtenPartOf(object: AnyObject): Written {
  const { labels, annotations } = object.metadata;
  const metadata = { ...filled('labels', labels), ...filled('annotations', annotations) };
  return object.kind === 'Secret'
    ? { metadata, type: object.type, keys: keysOf(object) }
    : { metadata, spec: object.kind === 'Node' ? withoutDefaults(object.spec) : object.spec };
}

/**
 * The same after an apply: labels and annotations merge, null removes; a Node's spec merges too, a Project's and a Secret's values are replaced.
 * @param manifest one that was checked
 * @param current undefined: there is none yet
 */
export function wouldBe(manifest: unknown, current: AnyObject | undefined): Written {
  const fields = manifest as {
    kind: AnyObject['kind'];
    metadata: Fields;
    spec?: Fields;
    type?: string;
    data?: Fields;
    stringData?: Fields;
  };
  const before = current?.metadata;
  const metadata = {
    ...filled('labels', merged(before?.labels, fields.metadata['labels'])),
    ...filled('annotations', merged(before?.annotations, fields.metadata['annotations'])),
  };
  switch (fields.kind) {
    case 'Node':
      return { metadata, spec: withoutDefaults(merged(current?.kind === 'Node' ? current.spec : undefined, fields.spec)) };
    case 'Project':
      return { metadata, spec: fields.spec };
    case 'Secret': {
      const keys = new Set([...Object.keys(fields.data ?? {}), ...Object.keys(fields.stringData ?? {})]);
      return { metadata, type: fields.type ?? 'Opaque', keys: [...keys].toSorted() };
    }
    default:
      return fields.kind satisfies never;
  }
}

function keysOf({ status }: SecretObject): readonly string[] {
  return status.keys.map(({ name }) => name).toSorted();
}

function withoutDefaults(spec: object): Fields {
  const { unschedulable, ...rest } = spec as Fields;
  return unschedulable === true ? { ...rest, unschedulable } : rest;
}

function merged(before: object | undefined, changes: unknown): Fields {
  return Object.fromEntries(Object.entries({ ...before, ...(changes as object | undefined) }).filter(([, value]) => value !== null));
}

function filled(name: string, fields: Fields): Fields {
  return Object.keys(fields).length === 0 ? {} : { [name]: fields };
}
