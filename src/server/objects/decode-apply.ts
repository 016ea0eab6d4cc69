/**
 * Decodes the body of an apply: a manifest in which null removes. Pure.
 *
 * The kind's decoder knows no null, so the nulls are taken out, the rest is decoded, and the nulls are put back.
 * Callers  http/routes/nodes.ts, http/routes/projects.ts.
 */
import type { ApplyManifest } from './write-object.ts';

type JsonMap = Readonly<Record<string, unknown>>;

interface DecodeApplyOptions {
  /** spec fields merge too (Node): null in one removes it; otherwise a null in spec is for the decoder to refuse */
  readonly isSpecMerged: boolean;
}

/**
 * Decodes an apply manifest whose labels and annotations (and, with `isSpecMerged`, fields of spec) may be null.
 * @throws {ApiError} Invalid, as `decode` does
 */
export function decodeApply<Manifest extends { readonly metadata: object }>(
  input: unknown,
  decode: (input: unknown) => Manifest,
  options: DecodeApplyOptions,
): ApplyManifest<Manifest> {
  if (!isMap(input)) {
    decode(input); // refuses it
  }
  const document = isMap(input) ? input : {};
  const paths = [['metadata', 'labels'], ['metadata', 'annotations'], ...(options.isSpecMerged ? [['spec']] : [])];
  const manifest = decode(paths.reduce((rest, path) => mapAt(rest, path, dropNulls), document)) as Manifest & JsonMap;
  // put back by position: whatever is null in the input was legal to remove
  const result = paths.reduce((rest: JsonMap, path) => {
    const nulls = nullsAt(document, path);
    return mapAt(rest, path, (map) => ({ ...map, ...nulls }));
  }, manifest);
  return result as unknown as ApplyManifest<Manifest>;
}

function mapAt(document: JsonMap, path: readonly string[], change: (map: JsonMap) => JsonMap): JsonMap {
  const [key, ...rest] = path;
  if (key === undefined) {
    return change(document);
  }
  const value = document[key];
  return isMap(value) ? { ...document, [key]: mapAt(value, rest, change) } : document;
}

function nullsAt(document: JsonMap, path: readonly string[]): JsonMap {
  const value = path.reduce<unknown>((at, key) => (isMap(at) ? at[key] : undefined), document);
  return isMap(value) ? Object.fromEntries(Object.entries(value).filter(([, entry]) => entry === null)) : {};
}

function dropNulls(map: JsonMap): JsonMap {
  return Object.fromEntries(Object.entries(map).filter(([, entry]) => entry !== null));
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
