/**
 * Manifests out of files: every document read and checked before anything is sent, each mistake with file, line, column and field.
 *
 * Callers  commands/apply.ts, commands/diff.ts, delete-targets.ts.
 */
import { valueAt } from '../../api/decode.ts';
import { ApiError, type FieldError } from '../../api/errors.ts';
import { decodeManifest } from '../../api/manifest.ts';
import { CtlError } from '../ctl-error.ts';
import type { ManifestSource } from './manifest-source.ts';
import { typeOf, type ResourceType } from '../resource-type.ts';
import { parseYaml, type Place, type YamlDocument } from './yaml-document.ts';

export interface Manifest {
  readonly type: ResourceType;
  readonly name: string;
  /** as it was written */
  readonly document: unknown;
  readonly file: string;
  /** where a field of it stands */
  locate(pointer: string): Place;
  /** `FILE:LINE:COLUMN: /pointer detail`, for what the server finds wrong with it */
  describe(error: FieldError): string;
}

/** More than a person reads. */
const MAX_SHOWN = 50;

interface Mistake extends Place {
  readonly file: string;
  readonly text: string;
}

/** All manifests in their order, or none. @throws {CtlError} with every mistake of every file */
export function readManifests(sources: readonly ManifestSource[]): readonly Manifest[] {
  const manifests: Manifest[] = [];
  const mistakes: Mistake[] = [];
  for (const { file, text } of sources) {
    const documents = parseYaml(text);
    if (documents.length === 0) {
      mistakes.push({ file, line: 1, column: 1, text: text.trim() === '' ? 'the file is empty' : 'the file has no document but comments' });
    }
    for (const document of documents) {
      for (const read of readDocument(file, document)) {
        if ('text' in read) {
          mistakes.push(read);
        } else {
          manifests.push(read);
        }
      }
    }
  }
  mistakes.push(...findDuplicates(manifests));
  if (mistakes.length > 0) {
    throw toError(mistakes, sources.length);
  }
  return manifests;
}

function readDocument(file: string, document: YamlDocument): readonly (Manifest | Mistake)[] {
  if (document.errors.length > 0) {
    return document.errors.map(({ line, column, detail }) => ({ file, line, column, text: detail }));
  }
  const items = listItems(document.value);
  return items === undefined
    ? readObject({ file, document, value: document.value, base: '' })
    : items.flatMap((value, index) => readObject({ file, document, value, base: `/items/${index}` }));
}

/** What `get -o yaml` prints of several objects can be applied again. */
function listItems(value: unknown): readonly unknown[] | undefined {
  const isList =
    typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string' && /^[A-Za-z]*List$/u.test(value.kind);
  return isList && 'items' in value && Array.isArray(value.items) ? value.items : undefined;
}

function readObject({
  file,
  document,
  value,
  base,
}: {
  readonly file: string;
  readonly document: YamlDocument;
  readonly value: unknown;
  readonly base: string;
}): readonly (Manifest | Mistake)[] {
  try {
    const { kind, metadata } = decodeManifest(value);
    return [
      {
        type: typeOf(kind),
        name: metadata.name,
        document: value,
        file,
        locate: (pointer) => document.locate(base + pointer),
        describe: (error) => formatMistake(toMistake(error)),
      },
    ];
  } catch (error) {
    if (error instanceof ApiError && error.errors.length > 0) {
      // as they stand in the file, not as the schema has its fields
      return error.errors.map(toMistake).toSorted((left, right) => left.line - right.line || left.column - right.column);
    }
    throw error;
  }

  function toMistake({ pointer, detail }: FieldError): Mistake {
    const unquoted = valueAt(value, pointer);
    const isText = isTextMap(pointer) || (pointer.startsWith('/spec/') && detail.startsWith('must be text')); // never a Secret's: it would be shown
    const words = isText && isPlain(unquoted) ? `must be text: quote it, as in "${unquoted}"` : detail;
    const text = base + pointer === '' ? `the document ${words}` : `${base}${pointer} ${words}`;
    return { file, ...document.locate(base + pointer), text };
  }
}

/** Where people write `true` or `8080` and mean the word. */
function isTextMap(pointer: string): boolean {
  return /\/(?:labels|annotations|nodeSelector)\/[^/]+$|\/env\/[0-9]+\/value$/u.test(pointer);
}

function isPlain(value: unknown): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function findDuplicates(manifests: readonly Manifest[]): readonly Mistake[] {
  const firsts = new Map<string, Manifest>();
  return manifests.flatMap((manifest) => {
    const key = `${manifest.type}/${manifest.name}`;
    const first = firsts.get(key);
    if (first === undefined) {
      firsts.set(key, manifest);
      return [];
    }
    const text = `/metadata/name names the ${manifest.type} ${JSON.stringify(manifest.name)} a second time: the first is in ${first.file}, line ${first.locate('/metadata/name').line}`;
    return [{ file: manifest.file, ...manifest.locate('/metadata/name'), text }];
  });
}

function formatMistake({ file, line, column, text }: Mistake): string {
  return `${file}:${line}:${column}: ${text}`;
}

function toError(mistakes: readonly Mistake[], files: number): CtlError {
  const [only] = mistakes;
  if (only !== undefined && mistakes.length === 1) {
    return new CtlError(formatMistake(only));
  }
  const where = files === 1 && only !== undefined ? only.file : `${new Set(mistakes.map(({ file }) => file)).size} of ${files} files`;
  return new CtlError(`Cannot use ${where} as there are ${mistakes.length} mistakes; nothing was changed`, {
    details: [
      ...mistakes.slice(0, MAX_SHOWN).map(formatMistake),
      ...(mistakes.length > MAX_SHOWN ? [`… and ${mistakes.length - MAX_SHOWN} more`] : []),
    ],
  });
}
