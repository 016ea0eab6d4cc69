/**
 * Fenced project: whether one fenced Project may run here, by what was granted and what the server has confirmed.
 *
 * Owns     what of it stands in the fence file (`entry`), and what only this process knows: the confirmation, and whether what was
 *          granted has lapsed since. A lapse is noted when somebody looks, so whoever looks says what time it is.
 * Never    reads a clock, writes the file, or asks the server.
 * Callers  self-fence.ts.
 */
import { deriveFenceTimes, type FenceGrant, type FenceTerms, type FenceTimes } from '../../api/project/fence.ts';
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { FenceEntry } from '../fence/fence-file.ts';
import type { AssignmentSource } from '../reconcile/assignment.ts';
import type { FenceState } from '../reconcile/fence-gate.ts';

const CONTAINERS_KEPT = 64; // ids that are kept though not all of them are there any more

/** A question to the server whether the Project is here. Times are those of the boot clock. */
export interface Question {
  /** the grant after which it was asked */
  readonly grantedAtMs: number;
  /** how often what was granted had lapsed when it was asked */
  readonly lapses: number;
}

export class FencedProject {
  #entry: FenceEntry;
  /** as assigned last; undefined: only the fence file tells of it */
  #order: ProjectObject | undefined;
  /** the assignment that the server has confirmed since the last lapse */
  #confirmed: number | undefined;
  /** the grant after which the server was asked last */
  #askedAtMs = -Infinity;
  #hasLapsed = false;
  #lapses = 0;
  /** what listeners were told last */
  told: FenceState | undefined;

  constructor(entry: FenceEntry) {
    this.#entry = entry;
  }

  get entry(): FenceEntry {
    return this.#entry;
  }

  /** Boot clock at which the guard kills it; in the far past where nothing was granted. */
  get killAtMs(): number {
    return timesOf(this.#entry)?.killAtMs ?? -Infinity;
  }

  /** Takes it as it is assigned now. What the file alone says gives no more time. */
  assign(project: ProjectObject, terms: FenceTerms, source: AssignmentSource): void {
    this.#entry = { ...this.#entry, ...(source === 'server' ? terms : shortest(this.#entry, terms)) };
    if (this.#order?.status.assignment !== project.status.assignment) {
      this.#askedAtMs = -Infinity;
    }
    this.#order = project;
  }

  /** What lapsed before this came stays so until it is confirmed. @returns how to take it back */
  renew(grant: FenceGrant, nowMs: number): () => void {
    this.lasts(nowMs);
    const before = this.#entry;
    this.#entry = { ...before, grant };
    return () => (this.#entry = before);
  }

  hasContainers(ids: readonly string[]): boolean {
    return ids.every((id) => this.#entry.containers.includes(id));
  }

  addContainers(ids: readonly string[]): void {
    const all = [...new Set([...this.#entry.containers.filter((id) => !ids.includes(id)), ...ids])];
    this.#entry = { ...this.#entry, containers: all.slice(-CONTAINERS_KEPT) };
  }

  /** Whether what was granted lasts; where it does not, what was confirmed is so no more. */
  lasts(nowMs: number): boolean {
    const times = timesOf(this.#entry);
    if (times !== undefined && nowMs < times.stopAtMs) {
      return true;
    }
    if (this.#confirmed !== undefined || !this.#hasLapsed) {
      this.#confirmed = undefined;
      this.#hasLapsed = true;
      this.#lapses += 1;
    }
    return false;
  }

  /** @param assignment default: the one it was assigned with last */
  judge(nowMs: number, assignment = this.#order?.status.assignment): FenceState {
    if (assignment === undefined || !this.lasts(nowMs)) {
      return 'closed';
    }
    if (this.#confirmed === assignment) {
      return 'open';
    }
    return this.#hasLapsed ? 'closed' : 'held';
  }

  /** @returns undefined where there is nothing to ask, or it was asked after this grant */
  question(grantedAtMs: number, nowMs: number): Question | undefined {
    const isOpen = this.#order !== undefined && this.#askedAtMs < grantedAtMs && this.lasts(nowMs);
    return isOpen && this.#confirmed !== this.#order?.status.assignment ? { grantedAtMs, lapses: this.#lapses } : undefined;
  }

  /** Takes in what the server has. @param found undefined: there is no such Project */
  answer(
    { grantedAtMs, lapses }: Question,
    found: ProjectObject | undefined,
    { node, nowMs }: { readonly node: string; readonly nowMs: number },
  ): void {
    this.#askedAtMs = grantedAtMs;
    const isHere = found?.metadata.uid === this.#entry.uid && found.status.nodeRef === node;
    if (found !== undefined && isHere && found.metadata.deletedAt === undefined && !isLeaving(found) && this.lasts(nowMs)) {
      // a lapse in between voids the answer: the server may have given it away after it
      this.#confirmed = this.#lapses === lapses ? found.status.assignment : undefined;
      this.#hasLapsed &&= this.#confirmed === undefined;
      this.#askedAtMs = this.#confirmed === undefined ? -Infinity : grantedAtMs;
    }
  }
}

function timesOf({ grant, ...terms }: FenceEntry): FenceTimes | undefined {
  return grant === null ? undefined : deriveFenceTimes(grant, terms);
}

function shortest(one: FenceTerms, other: FenceTerms): FenceTerms {
  return { afterMs: Math.min(one.afterMs, other.afterMs), graceMs: Math.max(one.graceMs, other.graceMs) };
}
