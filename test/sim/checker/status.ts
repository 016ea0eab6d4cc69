/**
 * Promise 8. What can be said at once: a Project that becomes Running did run on its node, all of it, since it was given to that node. And
 * where nothing has been disturbed for a while: what is said to be Running does run.
 */
import type { ProjectObject } from '../../../src/api/project.ts';
import { isGoing } from '../ledger.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

/** What a Project that is Running lacks on its machine; undefined: nothing. */
export function findUntruth(world: World, project: ProjectObject): string | undefined {
  const { metadata, spec, status } = project;
  const machine = status.nodeRef === undefined ? undefined : world.machines.get(status.nodeRef);
  if (status.phase !== 'Running' || machine === undefined || isGoing(project)) {
    return undefined;
  }
  const containers = [...machine.model.containers.values()].filter(
    ({ spec: made, state }) => state.isRunning && made.labels['caravanserai.io/project-uid'] === metadata.uid,
  );
  const missing = spec.services.filter(
    ({ name, image }) => !containers.some(({ spec: made }) => made.labels['caravanserai.io/service'] === name && made.image === image),
  );
  return missing.length === 0
    ? undefined
    : `${metadata.name} is Running on ${machine.name}, where ${missing.map(({ name, image }) => `${name} of ${image}`).join(' and ')} does not run`;
}

export class RunningChecker {
  readonly #world: World;
  /** Project's uid -> the assignment it has, and when it was given */
  readonly #assigned = new Map<string, { readonly assignment: number; readonly atMs: number; phase: string }>();
  /** uid and machine -> when all of the Project ran there last */
  readonly #ran = new Map<string, number>();

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    chronicle.onChange(({ atMs, change: { type, object } }) => {
      if (object.kind !== 'Project' || type === 'DELETED') {
        return;
      }
      const project = object as ProjectObject;
      const { metadata, status } = project;
      const before = this.#assigned.get(metadata.uid);
      const isNew = before?.assignment !== status.assignment;
      const assigned = isNew ? { assignment: status.assignment, atMs, phase: '' } : before;
      this.#assigned.set(metadata.uid, assigned);
      const isTurning = status.phase === 'Running' && assigned.phase !== 'Running' && status.observedGeneration === metadata.generation;
      assigned.phase = status.phase;
      this.look([project]);
      if (isTurning && (this.#ran.get(`${metadata.uid} ${status.nodeRef ?? ''}`) ?? -Infinity) < assigned.atMs) {
        violate(`promise 8: ${metadata.name} became Running on ${status.nodeRef ?? ''} without having run there since it was given to it`);
      }
    });
  }

  /** To be called often: notes what runs now. */
  look(projects: readonly ProjectObject[]): void {
    const nowMs = this.#world.clock.monotonicMs();
    for (const { metadata, spec } of projects) {
      for (const machine of this.#world.machines.values()) {
        const containers = [...machine.model.containers.values()].filter(
          ({ spec: made, state }) => state.isRunning && made.labels['caravanserai.io/project-uid'] === metadata.uid,
        );
        const isWhole = spec.services.every(({ name, image }) =>
          containers.some(({ spec: made }) => made.labels['caravanserai.io/service'] === name && made.image === image),
        );
        if (isWhole) {
          this.#ran.set(`${metadata.uid} ${machine.name}`, nowMs);
        }
      }
    }
  }
}
