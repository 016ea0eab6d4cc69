/**
 * Promise 8. What can be said at once: a Project that becomes Running did run on its node, all of it, since it was given to that node. And
 * where nothing has been disturbed for a while: what is said to be Running does run.
 */
import type { ProjectObject } from '../../../src/api/project.ts';
import { isGoing } from '../ledger.ts';
import type { SimMachine } from '../world/sim-machine.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const UID = 'caravanserai.io/project-uid';
const SERVICE = 'caravanserai.io/service';

/** What a Project that is Running lacks on its machine; undefined: nothing. */
export function findUntruth(world: World, project: ProjectObject): string | undefined {
  const { metadata, spec, status } = project;
  const machine = status.nodeRef === undefined ? undefined : world.machines.get(status.nodeRef);
  if (status.phase !== 'Running' || machine === undefined || isGoing(project)) {
    return undefined;
  }
  const made = listWell(machine).filter(({ uid }) => uid === metadata.uid);
  const missing = spec.services.filter((service) => !made.some((one) => isOf(service, one)));
  return missing.length === 0
    ? undefined
    : `${metadata.name} is Running on ${machine.name}, where ${missing.map(({ name, image }) => `${name} of ${image}`).join(' and ')} does not run`;
}

/** Runs, healthy where it has a check, or is done. */
interface Made {
  readonly uid: string;
  readonly service: string;
  readonly image: string;
}

function listWell({ model }: SimMachine): readonly Made[] {
  return [...model.containers.values()]
    .filter(({ state: { isRunning, status, exitCode, health } }) =>
      isRunning ? (health?.status ?? 'healthy') === 'healthy' : status === 'exited' && exitCode === 0,
    )
    .map(({ spec: { image, labels } }) => ({ uid: labels[UID] ?? '', service: labels[SERVICE] ?? '', image }));
}

function isOf({ name, image }: ProjectObject['spec']['services'][number], made: Made): boolean {
  return made.service === name && made.image === image;
}

interface Known {
  readonly project: ProjectObject;
  /** when it was given the assignment that it has */
  readonly givenAtMs: number;
}

export class RunningChecker {
  readonly #world: World;
  readonly #known = new Map<string, Known>(); // by uid
  /** uid, generation and machine -> when all of that ran there last */
  readonly #ran = new Map<string, number>();

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    chronicle.onChange(({ atMs, change: { type, object } }) => {
      const { uid } = object.metadata;
      if (object.kind !== 'Project' || type === 'DELETED') {
        this.#known.delete(uid);
        return;
      }
      const project = object as ProjectObject;
      const { metadata, status } = project;
      const before = this.#known.get(uid);
      const isNew = before?.project.status.assignment !== status.assignment;
      const givenAtMs = isNew ? atMs : before.givenAtMs;
      this.#known.set(uid, { project, givenAtMs });
      world.machines.forEach((machine) => this.look(machine, uid));
      const isTurning = isNew || before.project.status.phase !== 'Running' || before.project.metadata.generation !== metadata.generation;
      const ranAtMs = this.#ran.get(keyOf(project, status.nodeRef)) ?? -Infinity;
      if (status.phase === 'Running' && isTurning && ranAtMs < givenAtMs) {
        violate(`promise 8: ${metadata.name} became Running on ${status.nodeRef ?? ''} without having run there since it was given to it`);
      }
    });
  }

  /** To be called when something has happened on a machine. @param ofUid of this Project alone */
  look(machine: SimMachine, ofUid?: string): void {
    const byUid = Map.groupBy(listWell(machine), ({ uid }) => uid);
    for (const [uid, services] of byUid) {
      const known = ofUid === undefined || uid === ofUid ? this.#known.get(uid) : undefined;
      if (known?.project.spec.services.every((service) => services.some((made) => isOf(service, made))) === true) {
        this.#ran.set(keyOf(known.project, machine.name), this.#world.clock.monotonicMs());
      }
    }
  }
}

function keyOf({ metadata }: ProjectObject, machine = ''): string {
  return `${metadata.uid} ${metadata.generation} ${machine}`;
}
