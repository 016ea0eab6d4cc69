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
  /** machine -> when the deletion of its record was asked for that was acknowledged last, in virtual milliseconds */
  readonly deletions = new Map<string, number>();
  /** Projects that were said to leave a machine as it was drained; taken out once that is seen */
  readonly moves: { readonly project: string; readonly machine: string; readonly askedAtMs: number }[] = [];
  /** what nobody waits for any more, and a server may still do: one that was stopped finds it in its socket */
  readonly #loose = new Set<UserStep>();
  /** what is being asked for -> what was loose at some time since */
  readonly #rivals = new Map<UserStep, Set<UserStep>>();

  /** To be called before the request is sent; `note` when it has ended. */
  begin(step: UserStep): void {
    this.#rivals.set(step, new Set(this.#loose));
  }

  /** To be called for a request without an answer that may still be done. @returns to be called when it is done, or never will be */
  leave(step: UserStep): () => void {
    this.#loose.add(step);
    this.#rivals.forEach((rivals) => rivals.add(step));
    return () => this.#loose.delete(step);
  }

  /** @param status of the answer; 0: nothing was sent; undefined: no answer came @param askedAtMs virtual milliseconds */
  note(step: UserStep, status: number | undefined, askedAtMs: number): void {
    const isUnknown = status === undefined || status >= 500;
    const isDone = status !== undefined && status >= 200 && status < 300;
    switch (step.does) {
      case 'apply':
      case 'delete project': {
        const isGone = step.does === 'delete project' && status === 404;
        this.#take(
          this.projects,
          step.project,
          { wishes: this.#contenders(step).flatMap(wishesOf), isDone: isDone || isGone, isUnknown },
          'gone',
        );
        break;
      }
      case 'cordon':
      case 'uncordon':
      case 'drain':
        this.#take(this.cordons, step.machine, { wishes: this.#contenders(step).map(cordonsOf), isDone, isUnknown }, false);
        break;
      case 'delete node':
        if (isDone || isUnknown) {
          this.deleted.add(step.machine);
        }
        if (isDone) {
          this.cordons.delete(step.machine);
          this.deletions.set(step.machine, askedAtMs);
        } else if (isUnknown) {
          this.cordons.set(step.machine, new Set([false, true]));
        }
        break;
    }
    this.#rivals.delete(step);
  }

  /** Whether someone waits for the answer to this. */
  #isUnderWay(name: string, isIt: (step: UserStep) => boolean): boolean {
    return [...this.#rivals.keys()].some((step) => subjectOf(step) === name && isIt(step));
  }

  /** The step, and what may be done after it though it was asked for before. */
  #contenders(step: UserStep): readonly UserStep[] {
    return [step, ...(this.#rivals.get(step) ?? [])].filter((other) => subjectOf(other) === subjectOf(step));
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
      return wishes.has(found) || this.#isUnderWay(name, (step) => wishesOf(step).includes(found))
        ? []
        : [`Project ${name} is ${found}, acknowledged was ${[...wishes].join(' or ')}`];
    });
    const cordons = nodes.flatMap(({ metadata: { name }, spec }) => {
      const wishes = this.cordons.get(name);
      const isUnderWay = this.#isUnderWay(name, (step) => cordonsOf(step) === spec.unschedulable);
      const isAsTold = wishes === undefined || wishes.has(spec.unschedulable) || isUnderWay;
      return isAsTold ? [] : [`node ${name} has unschedulable ${String(spec.unschedulable)}, which nobody was told`];
    });
    return [...lost, ...cordons];
  }
}

/** Names of Projects and of machines differ. */
function subjectOf(step: UserStep): string {
  return 'project' in step ? step.project : step.machine;
}

/** What the step makes of a Project. */
function wishesOf(step: UserStep): readonly Wish[] {
  if (step.does !== 'apply') {
    return ['gone'];
  }
  return step.ttlMs === undefined ? [step.revision] : [step.revision, 'gone'];
}

/** What it makes of `unschedulable`; a record that was deleted comes back without. */
function cordonsOf({ does }: UserStep): boolean {
  return does === 'cordon' || does === 'drain';
}

export function isGoing({ metadata, status }: ProjectObject): boolean {
  return metadata.deletedAt !== undefined || status.phase === 'Terminating' || status.phase === 'Terminated';
}

/** As workload.ts writes it: the version of the first service's image. */
export function revisionOf({ spec }: ProjectObject): number {
  return Number(spec.services[0]?.image.split(':')[1]);
}
