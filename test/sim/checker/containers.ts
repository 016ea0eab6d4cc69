/**
 * What happens to containers. Promise 1: what is fenced never runs twice. Promise 2: what runs is stopped for a reason alone: its Project
 * was changed, moved or deleted since it was made. Promise 3: a Managed volume is never removed.
 */
import type { ProjectObject } from '../../../src/api/project.ts';
import type { Change } from '../../support/engines/model-engine.ts';
import { isGoing } from '../ledger.ts';
import type { SimMachine } from '../world/sim-machine.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const UID = 'caravanserai.io/project-uid';
const PROJECT = 'caravanserai.io/project';
const SERVICE = 'caravanserai.io/service';
const HEARD_MS = 15_000; // beats come every 10 s, and each grants some minutes
const STOP_MS = 30_000; // a fence that had run out before may still be stopping something: an engine goes on with what it was asked

interface Seen {
  readonly name: string;
  readonly service: string;
  readonly image: string;
  readonly uid: string;
  readonly project: string;
  readonly isRunning: boolean;
  /** it has run, and ended well */
  readonly isDone: boolean;
  /** how many reasons there had been when it was made */
  readonly reasons: number;
}

export interface ContainerCheck {
  readonly violate: (text: string) => void;
  /** nothing has gone wrong for a while */
  readonly isCalm: () => boolean;
}

export function checkContainers(world: World, chronicle: Chronicle, { violate, isCalm }: ContainerCheck): void {
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
  const heard = new Map<string, { readonly sinceMs: number; readonly lastMs: number }>(); // machine -> its heartbeats, without a gap
  world.answerListeners.add(({ from, path, status, isChallenge }) => {
    if (status === 204 && !isChallenge && path.endsWith('/heartbeat')) {
      const nowMs = world.clock.monotonicMs();
      const before = heard.get(from);
      const isGapless = before !== undefined && nowMs - before.lastMs < HEARD_MS;
      heard.set(from, { sinceMs: isGapless ? before.sinceMs : nowMs, lastMs: nowMs });
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
        isDone: state.status === 'exited' && state.exitCode === 0,
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
      const nowMs = world.clock.monotonicMs();
      const { sinceMs, lastMs } = heard.get(machine.name) ?? { sinceMs: nowMs, lastMs: -Infinity };
      const isHeard = nowMs - lastMs < HEARD_MS && nowMs - sinceMs > STOP_MS;
      const isFenced = project.startsWith('fenced') && !(isHeard && isCalm()); // its time may have come
      if (isStopped && !isFenced && !machine.handTouched.has(id) && isStillWanted(machine, container)) {
        violate(`promise 2: ${name} was stopped on ${machine.name} though nothing had changed since it was made`);
      }
    }
  }

  /** Nothing has changed since it was made, and it is what is asked for, not what was when its agent last heard. */
  function isStillWanted(machine: SimMachine, { uid, service, image, reasons: atStart }: Seen): boolean {
    const { project, count = 0 } = reasons.get(uid) ?? {};
    const isAsked = project?.spec.services.some((other) => other.name === service && other.image === image) === true;
    const isToStay = isAsked && project.status.nodeRef === machine.name && project.status.move === undefined && !isGoing(project);
    return count === atStart && isToStay;
  }

  /** Fenced ones on each machine, as they are: what stops with its machine's power is not told of. */
  function checkFenced(): void {
    const places = new Map<string, string>(); // Project and uid -> machine
    for (const { name, model } of world.machines.values()) {
      for (const { spec, state } of model.containers.values()) {
        const project = spec.labels[PROJECT] ?? '';
        if (state.isRunning && project.startsWith('fenced')) {
          const key = `${project} ${spec.labels[UID] ?? ''}`;
          const other = places.get(key) ?? name;
          places.set(key, name);
          if (other !== name) {
            violate(`promise 1: ${project} runs on ${other} and ${name}`);
          }
        }
      }
    }
  }

  /** What is done is not done again, and what depends on another service comes after it. */
  function checkStart(machine: SimMachine, subject: string, before: ReadonlyMap<string, Seen>): void {
    const started = [...machine.model.containers.values()].find(({ name }) => name === subject);
    if (started === undefined) {
      return;
    }
    const was = before.get(started.id);
    if (was?.isDone === true && isCalm() && isStillWanted(machine, was)) {
      // else it may count as cut short by an engine that was away
      violate(`promise 2: ${subject} was run again on ${machine.name} though it was done`);
    }
    const uid = started.spec.labels[UID] ?? '';
    const { project } = reasons.get(uid) ?? {};
    const service = project?.spec.services.find(({ name }) => name === started.spec.labels[SERVICE]);
    for (const { service: needed } of service?.dependsOn ?? []) {
      const isThere = [...machine.model.containers.values()].some(
        ({ spec, state }) => spec.labels[UID] === uid && spec.labels[SERVICE] === needed && state.startedAt !== undefined,
      );
      if (!isThere && machine.handTouched.size === 0) {
        violate(`promise 8: ${subject} was started on ${machine.name} before ${needed}, on which it depends`);
      }
    }
  }

  for (const machine of world.machines.values()) {
    look(machine);
    machine.model.onByHand = () => look(machine);
    machine.model.onChange = (change: Change, subject: string) => {
      world.trace.add(`${machine.name} ${change} ${subject}`);
      const before = seen.get(machine) ?? new Map<string, Seen>();
      if (change === 'removeVolume' && subject.endsWith('_keep')) {
        violate(`promise 3: ${subject} was removed on ${machine.name}`);
      }
      if (change === 'startContainer') {
        checkStart(machine, subject, before);
        checkFenced();
      }
      const now = look(machine);
      if (change === 'stopContainer' || change === 'removeContainer' || change === 'restartContainer') {
        checkStop(machine, subject, before, now);
      }
    };
  }
}

function whatMatters({ metadata, status }: ProjectObject): string {
  const isLeaving = status.phase === 'Terminating' || status.phase === 'Terminated';
  return JSON.stringify([metadata.generation, metadata.deletedAt, status.assignment, status.nodeRef, status.move, isLeaving]);
}
