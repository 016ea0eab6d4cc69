/** Ledger: what people were told, and so what may be so. Where no answer came, both what was before and what was asked for may be. */
import type { NodeObject } from '../../src/api/node.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import type { UserStep } from './workload.ts';

/** A revision; `gone`: not there, or on its way out. */
export type Wish = number | 'gone';

export class Ledger {
  /** project -> what it may be */
  readonly projects = new Map<string, ReadonlySet<Wish>>();
  /** machine -> what `unschedulable` may be; nothing: nobody said anything, or the record may have been deleted */
  readonly cordons = new Map<string, ReadonlySet<boolean>>();
  /** machines whose record someone deleted, or may have */
  readonly deleted = new Set<string>();
  /** machine -> when the deletion of its record was acknowledged, in virtual milliseconds */
  readonly deletedAtMs = new Map<string, number>();

  /** @param status of the answer; 0: nothing was sent; undefined: no answer came */
  note(step: UserStep, status: number | undefined, nowMs: number): void {
    const isUnknown = status === undefined || status >= 500;
    const isDone = status !== undefined && status >= 200 && status < 300;
    switch (step.does) {
      case 'apply': {
        const wishes: readonly Wish[] = step.ttlMs === undefined ? [step.revision] : [step.revision, 'gone'];
        this.#take(this.projects, step.project, { wishes, isDone, isUnknown }, 'gone');
        break;
      }
      case 'delete project':
        this.#take(this.projects, step.project, { wishes: ['gone'], isDone: isDone || status === 404, isUnknown }, 'gone');
        break;
      case 'cordon':
      case 'uncordon':
        this.#take(this.cordons, step.machine, { wishes: [step.does === 'cordon'], isDone, isUnknown }, false);
        break;
      case 'drain':
        this.#take(this.cordons, step.machine, { wishes: [true], isDone, isUnknown }, false);
        break;
      case 'delete node':
        if (isDone || isUnknown) {
          this.deleted.add(step.machine);
          this.cordons.delete(step.machine);
        }
        if (isDone) {
          this.deletedAtMs.set(step.machine, nowMs);
        }
        break;
    }
  }

  #take<Value>(
    map: Map<string, ReadonlySet<Value>>,
    name: string,
    { wishes, isDone, isUnknown }: { readonly wishes: readonly Value[]; readonly isDone: boolean; readonly isUnknown: boolean },
    before: Value,
  ): void {
    if (isDone) {
      map.set(name, new Set(wishes));
    } else if (isUnknown) {
      map.set(name, new Set([...(map.get(name) ?? [before]), ...wishes]));
    }
  }

  /** What was acknowledged and is not so. */
  findLost(projects: readonly ProjectObject[], nodes: readonly NodeObject[]): readonly string[] {
    const byName = new Map(projects.map((project) => [project.metadata.name, project]));
    const lost = [...this.projects].flatMap(([name, wishes]) => {
      const project = byName.get(name);
      const found: Wish = project === undefined || isGoing(project) ? 'gone' : revisionOf(project);
      return wishes.has(found) ? [] : [`Project ${name} is ${found}, acknowledged was ${[...wishes].join(' or ')}`];
    });
    const cordons = nodes.flatMap(({ metadata: { name }, spec }) => {
      const wishes = this.cordons.get(name);
      const isAsTold = wishes === undefined || wishes.has(spec.unschedulable);
      return isAsTold ? [] : [`node ${name} has unschedulable ${String(spec.unschedulable)}, which nobody was told`];
    });
    return [...lost, ...cordons];
  }
}

export function isGoing({ metadata, status }: ProjectObject): boolean {
  return metadata.deletedAt !== undefined || status.phase === 'Terminating' || status.phase === 'Terminated';
}

/** As workload.ts writes it: the version of the first service's image. */
export function revisionOf({ spec }: ProjectObject): number {
  return Number(spec.services[0]?.image.split(':')[1]);
}
