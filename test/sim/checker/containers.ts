/**
 * What happens to containers. Promise 1: what is fenced never runs twice. Promise 2: what runs is stopped for a reason alone: its Project
 * was changed, moved or deleted since it was made. Promise 3: a Managed volume is never removed.
 */
import type { ProjectObject } from '../../../src/api/project.ts';
import type { Change } from '../../support/model-engine.ts';
import { isGoing } from '../ledger.ts';
import type { SimMachine } from '../world/sim-machine.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const UID = 'caravanserai.io/project-uid';
const PROJECT = 'caravanserai.io/project';
const SERVICE = 'caravanserai.io/service';

interface Seen {
  readonly name: string;
  readonly service: string;
  readonly image: string;
  readonly uid: string;
  readonly project: string;
  readonly isRunning: boolean;
  /** how many reasons there had been when it was made */
  readonly reasons: number;
}

export function checkContainers(world: World, chronicle: Chronicle, violate: (text: string) => void): void {
  // uid -> the Project (undefined: gone), what of it makes it another, and how often that changed
  const reasons = new Map<string, { readonly project: ProjectObject | undefined; readonly text: string; readonly count: number }>();
  chronicle.onChange(({ change: { type, object } }) => {
    if (object.kind === 'Project') {
      const project = type === 'DELETED' ? undefined : (object as ProjectObject);
      const text = project === undefined ? 'gone' : whatMatters(project);
      const before = reasons.get(object.metadata.uid);
      reasons.set(object.metadata.uid, { project, text, count: (before?.count ?? 0) + (before?.text === text ? 0 : 1) });
    }
  });
  const seen = new Map<SimMachine, ReadonlyMap<string, Seen>>();

  function look(machine: SimMachine): ReadonlyMap<string, Seen> {
    const before = seen.get(machine);
    const now = new Map<string, Seen>();
    for (const { id, name, spec, state } of machine.model.containers.values()) {
      const uid = spec.labels[UID] ?? '';
      const made = before?.get(id)?.reasons ?? reasons.get(uid)?.count ?? 0;
      const service = spec.labels[SERVICE] ?? '';
      now.set(id, {
        name,
        uid,
        service,
        image: spec.image,
        project: spec.labels[PROJECT] ?? '',
        isRunning: state.isRunning,
        reasons: made,
      });
    }
    seen.set(machine, now);
    return now;
  }

  function checkStop(machine: SimMachine, subject: string, before: ReadonlyMap<string, Seen>, now: ReadonlyMap<string, Seen>): void {
    for (const [id, container] of before) {
      const { name, project, isRunning } = container;
      const isStopped = isRunning && now.get(id)?.isRunning !== true && (name === subject || id === subject);
      const isFenced = project.startsWith('fenced'); // its time may have come
      if (isStopped && !isFenced && !machine.handTouched.has(id) && isStillWanted(machine, container)) {
        violate(`promise 2: ${name} was stopped on ${machine.name} though nothing had changed since it was made`);
      }
    }
  }

  /** Nothing has changed since it was made, and it is what is asked for, not what was when its agent last heard. */
  function isStillWanted(machine: SimMachine, { uid, service, image, reasons: atStart }: Seen): boolean {
    const { project, count = 0 } = reasons.get(uid) ?? {};
    const isAsked = project?.spec.services.some((other) => other.name === service && other.image === image) === true;
    return count === atStart && isAsked && project.status.nodeRef === machine.name && !isGoing(project);
  }

  function checkStart(): void {
    const places = new Map<string, Set<string>>(); // uid -> machines
    for (const machine of world.machines.values()) {
      for (const { uid, project, isRunning } of look(machine).values()) {
        if (isRunning && project.startsWith('fenced')) {
          places.set(`${project} ${uid}`, (places.get(`${project} ${uid}`) ?? new Set()).add(machine.name));
        }
      }
    }
    for (const [project, names] of places) {
      if (names.size > 1) {
        violate(`promise 1: ${project} runs on ${[...names].join(' and ')}`);
      }
    }
  }

  for (const machine of world.machines.values()) {
    look(machine);
    machine.model.onChange = (change: Change, subject: string) => {
      world.trace.add(`${machine.name} ${change} ${subject}`);
      const before = seen.get(machine) ?? new Map<string, Seen>();
      if (change === 'removeVolume' && subject.endsWith('_keep')) {
        violate(`promise 3: ${subject} was removed on ${machine.name}`);
      }
      if (change === 'startContainer') {
        checkStart();
      }
      const now = look(machine);
      if (change === 'stopContainer' || change === 'removeContainer') {
        checkStop(machine, subject, before, now);
      }
    };
  }
}

function whatMatters({ metadata, status }: ProjectObject): string {
  const isLeaving = status.phase === 'Terminating' || status.phase === 'Terminated';
  return JSON.stringify([metadata.generation, metadata.deletedAt, status.assignment, status.nodeRef, status.move, isLeaving]);
}
