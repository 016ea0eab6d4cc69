/**
 * Tombstones: the names of deleted nodes, so that their agents' heartbeats are told 410 and never bring a record back.
 *
 * Owns     deleted name -> version of the deletion and when an agent of that name last called; the stored NodeTombstone objects are
 *          its durable form, written in the same commit as the deletion.
 * Never    drops one whose agent still calls, but for the least recently heard of when there are more than MAX_TOMBSTONES.
 * Callers  node-registry.ts (lookups), node-service.ts (what to write beside a deletion).
 */
import { API_VERSION } from '../../api/meta.ts';
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

/** The stored form. @param now RFC 3339 */
export function newTombstone(name: string, uid: string, now: string): Draft<StoredObject> {
  return { apiVersion: API_VERSION, kind: TOMBSTONE_KIND, metadata: newMeta(name, uid, now) };
}
