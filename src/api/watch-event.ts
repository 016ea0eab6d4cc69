/** One line of a watch stream. */
import type { Problem } from './errors.ts';

export type WatchEvent<Item> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Item }
  /** Nothing changed up to this version: resume from here. */
  | { readonly type: 'BOOKMARK'; readonly object: { readonly kind: string; readonly metadata: { readonly resourceVersion: string } } };

/** The last line of a stream that cannot go on, such as a watch that fell behind (410): list again. */
export interface WatchFailure {
  readonly type: 'ERROR';
  readonly object: Problem;
}
