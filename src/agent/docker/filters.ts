/** The engine's filters, as its query parameters have them: pure. */
import type { Labels } from './docker-types.ts';

/** Writes labels as terms of the engine's `label` filter: all must match; an empty value asks only for the key. */
export function labelTerms(labels: Labels): readonly string[] {
  return Object.entries(labels).map(([key, value]) => (value === '' ? key : `${key}=${value}`));
}

/** Writes the value of the query parameter `filters`: filter -> terms; one without terms is left out. */
export function toFilters(terms: Readonly<Record<string, readonly string[] | undefined>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(terms).filter(([, list]) => list !== undefined && list.length > 0)));
}
