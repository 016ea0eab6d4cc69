/** Objects as JSON or YAML. */

/** The document with its final line feed. yaml is loaded only when it is asked for: it costs 10 ms. */
export async function renderDocument(format: 'json' | 'yaml', document: unknown): Promise<string> {
  if (format === 'json') {
    return `${JSON.stringify(document, undefined, 2)}\n`;
  }
  const { stringify } = await import('yaml');
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Objects as they come, each a document of its own: so `caractrl … -w -o json | jq` reads them one by one. */
export async function renderStream(format: 'json' | 'yaml', documents: readonly unknown[]): Promise<string> {
  const texts = await Promise.all(documents.map((document) => renderDocument(format, document)));
  return texts.map((text) => (format === 'yaml' ? '---\n' : '') + text).join('');
}

/** One object as it is; several as a list of their kind, or of any kind. */
export function toDocument(objects: readonly object[], options: { readonly isSingle: boolean; readonly listKind: string }): unknown {
  const [first] = objects;
  return options.isSingle && first !== undefined && objects.length === 1
    ? first
    : { apiVersion: 'caravanserai/v1', kind: options.listKind, items: objects };
}
