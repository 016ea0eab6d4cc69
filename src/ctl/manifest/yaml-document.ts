/**
 * YAML (and so JSON) with places: each document's value, what is wrong with it as text, and where each field stands.
 *
 * Never    expands aliases without bound, nor takes time that grows faster than the input.
 * Source   YAML 1.2 core schema, with merge keys (`<<`), as Compose files use them.
 */
import { escape } from '../../api/decode.ts';
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Document,
  type Node,
  type Pair,
} from 'yaml';

/** Line and column, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface PlacedError extends Place {
  readonly detail: string;
}

export interface YamlDocument {
  readonly place: Place;
  /** undefined when there are errors */
  readonly value: unknown;
  readonly errors: readonly PlacedError[];
  /** Where the field under a JSON pointer stands; of a missing one, the map that should have it. */
  locate(pointer: string): Place;
}

/** How often one document may use anchors, what they contain counted too: plenty for people, nothing for a YAML bomb. */
const MAX_ALIAS_COUNT = 1000;
/** Of one broken document: the errors after the first few are mostly its echo. */
const MAX_SYNTAX_ERRORS = 3;

/** Reads all documents of a text; empty ones are left out. */
export function parseYaml(text: string): readonly YamlDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    logLevel: 'silent',
    // checked below: the parser compares each key with each (80,000 keys in 1 MB took it 60 s)
    uniqueKeys: false,
  });
  if (!Array.isArray(documents)) {
    return [];
  }
  return documents.filter((document) => !isEmpty(document)).map((document) => read(document, lines));
}

function isEmpty({ contents, errors }: Document.Parsed): boolean {
  return errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null && contents.source === ''));
}

function read(document: Document.Parsed, lines: LineCounter): YamlDocument {
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start = document.contents?.range[0] ?? document.range[0];
  const exhausted = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const syntax = (exhausted === undefined ? document.errors.slice(0, MAX_SYNTAX_ERRORS) : [exhausted]).map(({ code, message, pos }) => ({
    ...placeAt(pos[0]),
    detail: wordsOf(code, message),
  }));
  const structure = syntax.length > 0 ? [] : checkStructure(document, placeAt);
  const result = syntax.length + structure.length > 0 ? { errors: [...syntax, ...structure] } : convert(document, placeAt(start));
  return {
    place: placeAt(start),
    value: undefined,
    ...result,
    locate: (pointer) => placeAt(locate(document, pointer) ?? start),
  };
}

function wordsOf(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab indents this line: YAML wants spaces';
    case 'RESOURCE_EXHAUSTION':
      return 'is nested too deeply';
    default: {
      const [first = ''] = message.split('\n');
      return `is no YAML: ${first.charAt(0).toLowerCase()}${first.slice(1)}`;
    }
  }
}

function convert(document: Document.Parsed, place: Place): Pick<YamlDocument, 'value' | 'errors'> {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }), errors: [] };
  } catch (error) {
    if (error instanceof ReferenceError && error.message.startsWith('Excessive alias count')) {
      return {
        value: undefined,
        errors: [{ ...place, detail: `uses anchors too often: at most ${MAX_ALIAS_COUNT} values may come from them` }],
      };
    }
    if (error instanceof Error) {
      return { value: undefined, errors: [{ ...place, detail: `is no YAML: ${error.message}` }] };
    }
    throw error;
  }
}

const CORE_TAG = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq|merge)$/u;

/** What the parser lets pass and a manifest must not have: keys given twice or that are no text, tags, anchors that contain themselves. */
function checkStructure(document: Document.Parsed, placeAt: (offset: number) => Place): readonly PlacedError[] {
  const errors: PlacedError[] = [];
  const complain = (node: unknown, path: Path, detail: string): void => {
    const offset = isNode(node) ? node.range?.[0] : undefined;
    errors.push({ ...placeAt(offset ?? 0), detail: `${pointerOf([...path, node]) || 'the document'} ${detail}` });
  };
  visit(document, {
    Map: (_, map, path) => {
      const firsts = new Map<string, unknown>();
      for (const { key } of map.items) {
        const name = keyOf(key);
        const first = firsts.get(name ?? '');
        if (name === undefined) {
          complain(isNode(key) ? key : map, [...path, map], `has the key ${textOf(key)}, which is no text: quote it`);
        } else if (first === undefined) {
          firsts.set(name, key);
        } else if (name !== '<<') {
          const { line } = placeAt(isNode(first) ? (first.range?.[0] ?? 0) : 0);
          complain(key, [...path, map], `gives ${JSON.stringify(name)} a second time: the first is on line ${line}`);
        }
      }
    },
    Node: (_, node, path) => {
      if (!isAlias(node) && node.tag !== undefined && !CORE_TAG.test(node.tag)) {
        complain(node, path, `has the tag ${node.tag}, which manifests do not know: leave it out`);
      }
    },
    Alias: (_, alias, path) => {
      const target = alias.resolve(document);
      if (target === undefined) {
        complain(alias, path, `uses *${alias.source}, but no &${alias.source} comes before it`);
      } else if (path.includes(target)) {
        complain(alias, path, `uses *${alias.source} inside of &${alias.source} itself`);
      }
    },
  });
  return errors;
}

type Path = readonly unknown[];

/** The JSON pointer of the last of the nodes that lead to it. */
function pointerOf(path: Path): string {
  return path
    .map((node, index) => {
      const parent = path[index - 1];
      if (isPair(node)) {
        return `/${escape(keyOf(node.key) ?? textOf(node.key))}`;
      }
      return isSeq(parent) ? `/${parent.items.indexOf(node)}` : '';
    })
    .join('');
}

function keyOf(key: unknown): string | undefined {
  return isScalar(key) && typeof key.value === 'string' ? key.value : isScalar(key) && typeof key.value === 'symbol' ? '<<' : undefined;
}

function textOf(key: unknown): string {
  return isScalar(key) ? key.source || 'null' : 'of several values';
}

/** Offset of what a JSON pointer names: of a field with a plain value the value, of a missing one the last part that is there. */
function locate(document: Document.Parsed, pointer: string): number | undefined {
  let node: unknown = document.contents;
  let offset = startOf(node);
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    const resolved: unknown = isAlias(node) ? node.resolve(document) : node;
    const next: Node | Pair | undefined = childOf(resolved, name);
    if (next === undefined) {
      return offset;
    }
    node = isPair(next) ? next.value : next;
    // a map or list begins on the line after its key: the key is what a person looks for
    offset = isPair(next) && !isScalar(next.value) ? startOf(next.key) : startOf(node);
    offset ??= isPair(next) ? startOf(next.key) : undefined;
  }
  return offset;
}

function childOf(node: unknown, name: string): Node | Pair | undefined {
  if (isMap(node)) {
    return node.items.find(({ key }) => keyOf(key) === name || (isScalar(key) && String(key.value) === name));
  }
  const item = isSeq(node) ? node.items[Number(name)] : undefined;
  return isNode(item) ? item : undefined;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
