import type { Store } from '../../../src/store/store.ts';

/** A store that hands every call on, for a test to put its own in the place of some. */
export function wrapped(store: Store): Store {
  return {
    get: (kind, name) => store.get(kind, name),
    list: (kind, page) => store.list(kind, page),
    commit: (writes) => store.commit(writes),
    watch: (kind, since, signal) => store.watch(kind, since, signal),
    watchBatches: (kind, since, signal, topic) => store.watchBatches(kind, since, signal, topic),
    snapshot: () => store.snapshot(),
    size: () => store.size(),
    version: () => store.version(),
    refresh: () => store.refresh(),
    ping: () => store.ping(),
    close: () => store.close(),
  };
}
