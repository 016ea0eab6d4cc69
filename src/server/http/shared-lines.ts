/**
 * Shared lines: what a change looks like on the wire, written once for all who watch it.
 *
 * Owns     the newest lines, at most LINES_KEPT. A line tells of a node's presence what was so when it was first told.
 * Callers  watch-response.ts
 */
import type { WatchEvent } from '../../api/watch-event.ts';
import type { StoredObject } from '../../store/store.ts';

/** Watchers that keep up are told of the same change within one turn of the event loop; some 0.6 MB of Nodes. */
const LINES_KEPT = 256;

interface Line {
  readonly version: number;
  readonly type: WatchEvent<StoredObject>['type'];
  readonly text: string;
}

export class SharedLines {
  /** place: the version modulo LINES_KEPT */
  readonly #lines: (Line | undefined)[] = [];

  /**
   * @param version that of the change: no two changes of whatever kind have the same
   * @param write called only where nobody has been told of it lately
   */
  find(version: number, type: Line['type'], write: () => string): string {
    const place = version % LINES_KEPT;
    const known = this.#lines[place];
    if (known?.version === version && known.type === type) {
      return known.text;
    }
    const text = write();
    this.#lines[place] = { version, type, text };
    return text;
  }
}
