/**
 * Pending queue: the Projects that wait for a node.
 *
 * Owns     for each, at which state of the fleet it was last found unplaceable, so that it is looked at again only when something
 *          happened that could matter to it.
 * Callers  fleet-view.ts fills it, scheduling-round.ts takes from it; projects/node-load.ts and plan-drain.ts go by its order too.
 */
import type { ProjectObject } from '../../api/project.ts';
import { asksAlike } from './demand.ts';

interface Entry {
  readonly project: ProjectObject;
  /** the snapshot's roomEpoch at which no node took it; undefined: not looked at yet */
  readonly judgedEpoch: number | undefined;
}

export class PendingQueue {
  readonly #entryByName = new Map<string, Entry>();

  get size(): number {
    return this.#entryByName.size;
  }

  /** Adds a Project or its newer version. A write that asks for nothing else is no reason to look again. */
  put(project: ProjectObject): void {
    const previous = this.#entryByName.get(project.metadata.name);
    const isSame = previous !== undefined && asksAlike(previous.project, project);
    this.#entryByName.set(project.metadata.name, { project, judgedEpoch: isSame ? previous.judgedEpoch : undefined });
  }

  remove(name: string): void {
    this.#entryByName.delete(name);
  }

  /** Notes that no node took it at `epoch`. */
  settle(name: string, epoch: number): void {
    const entry = this.#entryByName.get(name);
    if (entry !== undefined) {
      this.#entryByName.set(name, { ...entry, judgedEpoch: epoch });
    }
  }

  /** Whether the queue has this very version of the Project. */
  holds(project: ProjectObject): boolean {
    return this.#entryByName.get(project.metadata.name)?.project === project;
  }

  /** Those not yet judged at `epoch`, oldest first. */
  listDue(epoch: number): readonly ProjectObject[] {
    const due: ProjectObject[] = [];
    for (const { project, judgedEpoch } of this.#entryByName.values()) {
      if (judgedEpoch !== epoch) {
        due.push(project);
      }
    }
    return due.sort(compareProjectAge);
  }
}

/** The oldest first; of the same age by name. */
export function compareProjectAge(left: ProjectObject, right: ProjectObject): number {
  const { createdAt: leftAge, name: leftName } = left.metadata;
  const { createdAt: rightAge, name: rightName } = right.metadata;
  if (leftAge !== rightAge) {
    return leftAge < rightAge ? -1 : 1;
  }
  return leftName < rightName ? -1 : 1;
}
