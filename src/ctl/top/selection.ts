/** Of what `top` is to tell: pure. Callers: commands/top.ts. */
import { UsageError } from '../ctl-error.ts';
import { readSelections } from '../resource-type.ts';

export const TOP_KINDS = ['nodes', 'projects', 'services'] as const;
export type TopKind = (typeof TOP_KINDS)[number];

export interface TopSelection {
  readonly kind: TopKind;
  /** of nodes or Projects; of services PROJECT or PROJECT/SERVICE; none: all */
  readonly names: readonly string[];
}

const SERVICE_WORDS = ['service', 'services', 'svc'];

/** @throws {UsageError} */
export function readTopSelection(args: readonly string[]): TopSelection {
  const [first = 'nodes', ...names] = args;
  if (SERVICE_WORDS.includes(first.toLowerCase())) {
    const wrong = names.find((name) => !/^[^/]+(?:\/[^/]+)?$/u.test(name));
    if (wrong !== undefined) {
      throw new UsageError(`Cannot show ${JSON.stringify(wrong)} as it is neither PROJECT nor PROJECT/SERVICE`);
    }
    return { kind: 'services', names: [...new Set(names)] };
  }
  const selections = readSelections([first, ...names], 'top');
  const [selection, ...others] = selections;
  if (selection === undefined || others.length > 0 || selection.type === 'secret') {
    throw new UsageError(`Cannot show what ${args.join(' ')} use: name one of ${TOP_KINDS.join(', ')}`, { hint: 'caractrl top nodes' });
  }
  return { kind: selection.type === 'node' ? 'nodes' : 'projects', names: selection.names };
}
