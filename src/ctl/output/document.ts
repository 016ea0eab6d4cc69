/** Objects as JSON or YAML. */

/** The document with its final line feed. yaml is loaded only when it is asked for: it costs 10 ms. */
export async function renderDocument(format: 'json' | 'yaml', document: unknown): Promise<string> {
  if (format === 'json') {
    return `${JSON.stringify(document, undefined, 2)}\n`;
  }
  const { stringify } = await import('yaml');
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** One object as it is; several as a list of their kind, or of any kind. */
export function toDocument(objects: readonly object[], options: { readonly isSingle: boolean; readonly listKind: string }): unknown {
  const [first] = objects;
  return options.isSingle && first !== undefined && objects.length === 1
    ? first
    : { apiVersion: 'caravanserai/v1', kind: options.listKind, items: objects };
}
