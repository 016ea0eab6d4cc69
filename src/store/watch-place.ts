/**
 * Watch place: how far one watch has come in the log of its kind, and what it is given next.
 *
 * Owns     the position.
 * Callers  change-log.ts
 */
import type { KindLog } from './kind-log.ts';
import type { Change, StoredObject, WatchItem } from './store.ts';
import { isOfTopic, type Topic } from './topic.ts';
import type { Watcher } from './watchers.ts';

/** Changes given at once: a turn of a watcher costs as much as some ten of them, and each that is stuck holds so many at most. */
const BATCH_LIMIT = 32;

export class WatchPlace<Item extends StoredObject> {
  readonly #log: KindLog;
  readonly #watcher: Watcher;
  readonly #target: number;
  #position: number;
  #hasCaughtUp = false;

  /** @param start.target the newest version when the watch began: a bookmark tells when it is reached */
  constructor(log: KindLog, watcher: Watcher, start: { readonly position: number; readonly target: number }) {
    this.#log = log;
    this.#watcher = watcher;
    this.#position = start.position;
    this.#target = start.target;
  }

  /** Whether the log has dropped what comes next. */
  get isLost(): boolean {
    const next = this.#watcher.isIdle ? this.#watcher.nextPosition : this.#position;
    return next !== undefined && next < this.#log.firstPosition;
  }

  /** What has come since the last call, at most BATCH_LIMIT items. */
  take(): readonly WatchItem<Item>[] {
    const watcher = this.#watcher;
    if (watcher.isIdle) {
      const next = watcher.nextPosition;
      if (next === undefined) {
        return [];
      }
      this.#position = next;
      watcher.resume();
    }
    const items: WatchItem<Item>[] = [];
    while (items.length < BATCH_LIMIT) {
      const change = this.#log.at(this.#position);
      if (!this.#hasCaughtUp && (change === undefined || change.version > this.#target)) {
        this.#hasCaughtUp = true;
        items.push({ type: 'BOOKMARK', version: this.#target });
      } else if (change === undefined) {
        watcher.rest();
        break;
      } else {
        this.#position += 1;
        if (watcher.topic === undefined || concerns(change, watcher.topic)) {
          watcher.noteDelivery();
          items.push(change as Change<Item>);
        }
      }
    }
    return items;
  }
}

/** Where the state before is not known, it may have been of the topic. */
function concerns({ type, object, previous }: Change, topic: Topic): boolean {
  return isOfTopic(object, topic) || (type !== 'ADDED' && (previous === undefined || isOfTopic(previous, topic)));
}
