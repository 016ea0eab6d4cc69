/** The store backends that the contract suite runs over, and drafts to write into them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { API_VERSION } from '../../../src/api/meta.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { createMemoryStore } from '../../../src/store/memory-store.ts';
import { createSqliteStore } from '../../../src/store/sqlite/sqlite-store.ts';
import type { Draft, Store, StoredObject } from '../../../src/store/store.ts';

export const silentLog = pino({ level: 'silent' });

export interface OpenBackendOptions {
  readonly clock: Clock;
  readonly logSize?: number;
}

/** A place for one store, kept until disposed of. */
export interface Backend extends AsyncDisposable {
  open(options: OpenBackendOptions): Promise<Store>;
}

export interface BackendKind {
  readonly name: string;
  /** whether what was written is there when the store is opened again */
  readonly isLasting: boolean;
  /** turns of the event loop that a commit takes, about */
  readonly turnsPerCommit?: number;
  readonly create: () => Promise<Backend>;
}

export const BACKENDS: readonly BackendKind[] = [
  { name: 'memory', isLasting: false, create: async () => transient(async (options) => createMemoryStore(options)) },
  {
    name: 'SQLite in memory',
    isLasting: false,
    create: async () => transient((options) => createSqliteStore({ ...options, path: ':memory:', log: silentLog })),
  },
  { name: 'SQLite file', isLasting: true, create: () => createSqliteFile([]) },
  {
    name: 'SQLite file that keeps nothing in memory',
    isLasting: true,
    create: () => createSqliteFile(['Thing', 'Other', 'Node', 'Project']),
  },
];

function transient(open: Backend['open']): Backend {
  return { open, [Symbol.asyncDispose]: async () => undefined };
}

async function createSqliteFile(rarelyRead: readonly string[]): Promise<Backend> {
  const folder = await mkdtemp(join(tmpdir(), 'cara-store-'));
  return {
    open: (options) => createSqliteStore({ ...options, path: join(folder, 'cara.db'), rarelyRead, log: silentLog }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** An object with one field of content. */
export interface Thing extends StoredObject {
  readonly spec: { readonly value: number; readonly tags: readonly string[] };
}

export function draft(name: string, value = 0, kind = 'Thing'): Draft<Thing> {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: {
      name,
      labels: { zone: 'ed312' },
      annotations: {},
      uid: `uid-of-${name}`,
      generation: 1,
      createdAt: '2026-01-01T00:00:00Z',
      updatedAt: '2026-01-01T00:00:00Z',
    },
    spec: { value, tags: ['a', 'b'] },
  };
}
