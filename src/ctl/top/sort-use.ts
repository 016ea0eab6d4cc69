/** In which order `top` shows things; pure. */
import { UsageError } from '../ctl-error.ts';
import type { Use } from './use.ts';

const SORT_KEYS = ['name', 'cpu', 'memory', 'network', 'disk'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** @throws {UsageError} */
export function readSortKey(word: string | undefined): SortKey {
  const found = SORT_KEYS.find((key) => key === (word ?? 'name'));
  if (found === undefined) {
    throw new UsageError(`Cannot use --sort-by ${JSON.stringify(word)} as it must be one of ${SORT_KEYS.join(', ')}`);
  }
  return found;
}

export interface Sortable {
  readonly name: string;
  readonly use: Use;
}

/** By name, or what uses most first; what is not known comes last. */
export function sortByUse<Item extends Sortable>(items: readonly Item[], key: SortKey): readonly Item[] {
  const byName = items.toSorted((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
  return key === 'name' ? byName : byName.toSorted((left, right) => amountOf(right.use, key) - amountOf(left.use, key));
}

const UNKNOWN = -1;

function amountOf(use: Use, key: Exclude<SortKey, 'name'>): number {
  switch (key) {
    case 'cpu':
      return use.cpuMillis ?? UNKNOWN;
    case 'memory':
      return use.memoryBytes ?? UNKNOWN;
    case 'network':
      return together(use.receivedPerSecond, use.sentPerSecond);
    case 'disk':
      return use.diskBytes ?? together(use.readPerSecond, use.writtenPerSecond);
    default:
      return key satisfies never;
  }
}

function together(left: number | undefined, right: number | undefined): number {
  return left === undefined && right === undefined ? UNKNOWN : (left ?? 0) + (right ?? 0);
}
