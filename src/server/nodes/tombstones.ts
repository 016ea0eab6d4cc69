/**
 * Tombstones: the names of deleted nodes, so that their agents' heartbeats are told 410 and never bring a record back.
 *
 * Owns     deleted name -> version of the deletion and when an agent of that name last called; the stored NodeTombstone objects are
 *          its durable form, written in the same commit as the deletion.
 * Never    drops one whose agent still calls, but for the least recently heard of when there are more than MAX_TOMBSTONES.
 * Callers  node-registry.ts (lookups), node-service.ts (what to write beside a deletion, and who may bring a node back).
 */
import { ApiError } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import type { Registration } from '../../api/node.ts';
import type { Draft, StoredObject } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

export const TOMBSTONE_KIND = 'NodeTombstone';

/** A bound on memory: some 2 MB. */
const MAX_TOMBSTONES = 10_000;

/** 30 days without a call, counted while the server runs: an agent that still ran would have called. */
const MAX_SILENCE_MS = 30 * 24 * 3_600_000;

interface Tombstone {
  readonly version: number;
  /** monotonic ms */
  readonly heardAtMs: number;
}

export class Tombstones {
  // least recently heard of first
  readonly #byName = new Map<string, Tombstone>();

  /** Takes in a deletion. @param nowMs monotonic */
  add(name: string, version: number, nowMs: number): void {
    this.#byName.delete(name);
    this.#byName.set(name, { version, heardAtMs: nowMs });
  }

  /** The version at which `name` was deleted; undefined when it was not, or was made anew. */
  findVersion(name: string): number | undefined {
    return this.#byName.get(name)?.version;
  }

  /** Notes that an agent of a deleted node called. @returns false when there is no such tombstone */
  touch(name: string, nowMs: number): boolean {
    const tombstone = this.#byName.get(name);
    if (tombstone === undefined) {
      return false;
    }
    this.add(name, tombstone.version, nowMs);
    return true;
  }

  /** For a node that was made anew. */
  delete(name: string): void {
    this.#byName.delete(name);
  }

  /** Names that can be forgotten: silent for 30 days, or the least recently heard of above the bound. @param nowMs monotonic */
  listForgettable(nowMs: number): readonly string[] {
    const names: string[] = [];
    for (const [name, { heardAtMs }] of this.#byName) {
      if (nowMs - heardAtMs < MAX_SILENCE_MS && this.#byName.size - names.length < MAX_TOMBSTONES) {
        break;
      }
      names.push(name);
    }
    return names;
  }
}

/** The stored form. Internal: users do not see it. */
export interface TombstoneRecord extends StoredObject {
  readonly kind: typeof TOMBSTONE_KIND;
  /** the agents' bootIds that had registered when it was deleted; not there: an earlier version wrote it */
  readonly boots?: readonly string[];
}

/** @param options.now RFC 3339 @param options.boots as TombstoneRecord */
export function newTombstone(
  name: string,
  { uid, now, boots }: { readonly uid: string; readonly now: string; readonly boots: readonly string[] },
): Draft<TombstoneRecord> {
  return { apiVersion: API_VERSION, kind: TOMBSTONE_KIND, metadata: newMeta(name, uid, now), boots };
}

/**
 * Only the start of an agent brings a deleted node back: neither a registration that says it is none, nor one by a process that had
 * registered before the deletion, as where the answer to that was lost.
 * @throws {ApiError} NodeDeleted
 */
export function checkIsStart({ metadata, boots }: TombstoneRecord, { renewal, identity }: Registration): void {
  if (renewal === true || (identity?.bootId !== undefined && boots?.includes(identity.bootId) === true)) {
    throw new ApiError(
      'NodeDeleted',
      `Cannot register as node ${JSON.stringify(metadata.name)} was deleted while its agent ran: restart the agent to register it again`,
    );
  }
}
