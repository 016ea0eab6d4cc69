/** Memory store: every guarantee of `Store` but that of surviving the process. */
import type { Clock } from '../base/clock.ts';
import { ChangeLog, DEFAULT_LOG_SIZE } from './change-log.ts';
import { createDocumentStore } from './document-store.ts';
import { Documents } from './documents.ts';
import type { Store } from './store.ts';

/** @param options.logSize changes kept per kind for watchers that come back; default 10,000 */
export function createMemoryStore(options: { readonly clock: Clock; readonly logSize?: number }): Store {
  const { clock, logSize = DEFAULT_LOG_SIZE } = options;
  return createDocumentStore({
    documents: new Documents(),
    changeLog: new ChangeLog({ clock, logSize }),
    journal: { write: () => undefined, size: () => 0, ping: () => undefined, probe: () => undefined, close: () => undefined },
    defer: (flush) => flush(), // nothing to share
    log: undefined,
  });
}
