/**
 * Track keeper: what is remembered of a Project's containers between two looks at the engine.
 *
 * Owns     tracks; what the agent did to which run, so that its own doing is not taken for someone else's; what the engine's events said
 *          of ends; the record of containers that someone removed, for those that take their places. All of it may be lost: then what the
 *          server last heard is gone on from.
 * Never    reads a clock, acts, or keeps anything of a container that is gone but its record, until its service has another.
 * Callers  project-loop.ts
 */
import type { ProjectObject, ServiceStatus } from '../../api/project.ts';
import type { EngineEvent, RestartSpec } from '../docker/docker-types.ts';
import type { EndHint } from './container-exit.ts';
import { trackContainer, type ContainerTrack, type Heritage, type Restarter } from './container-track.ts';
import type { ObservedProject } from './observe.ts';
import type { Step } from './steps.ts';

type Containers = ObservedProject['containers'];
type Container = Containers[number];

/** What someone took away, until another stands in its place. */
export interface LostContainer extends Pick<ServiceStatus, 'restarts' | 'lastExit'> {
  readonly configHash: string;
}

interface LookContext {
  readonly nowMs: number;
  /** RFC 3339 */
  readonly now: string;
  readonly restarter: Restarter;
  /** undefined where nothing is to run */
  readonly restartOf: ((container: Container) => RestartSpec['name'] | undefined) | undefined;
  /** As last reported. */
  readonly reported: ProjectObject['status']['services'];
}

interface Deed {
  readonly kind: 'stop' | 'restart';
  readonly startedAt: string | undefined;
}

export class TrackKeeper {
  /** container id -> track */
  #tracks: ReadonlyMap<string, ContainerTrack> = new Map();
  /** container id -> whose it is */
  #owners: ReadonlyMap<string, Container['owner']> = new Map();
  /** container id -> what was done to which of its runs */
  readonly #deeds = new Map<string, Deed>();
  /** container id -> its newest end */
  readonly #hints = new Map<string, EndHint>();
  /** containers whose next end is for want of memory */
  readonly #outOfMemory = new Set<string>();
  /** service -> what was taken away of it */
  readonly #lost = new Map<string, LostContainer>();
  #wasEngineAway = false;

  get tracks(): ReadonlyMap<string, ContainerTrack> {
    return this.#tracks;
  }

  get lost(): ReadonlyMap<string, LostContainer> {
    return this.#lost;
  }

  /** The agent begins a step. */
  noteStep(step: Step): void {
    if (step.kind === 'stopContainer' || step.kind === 'removeContainer' || step.kind === 'restartContainer') {
      const kind = step.kind === 'restartContainer' ? 'restart' : 'stop';
      this.#deeds.set(step.containerId, { kind, startedAt: this.#tracks.get(step.containerId)?.startedAt });
    }
  }

  noteEvent({ action, id, attributes }: EngineEvent): void {
    if (action === 'oom') {
      this.#outOfMemory.add(id);
    } else if (action === 'die') {
      const exitCode = Number(attributes['exitCode']);
      const isOomKilled = this.#outOfMemory.delete(id);
      if (Number.isSafeInteger(exitCode)) {
        this.#hints.set(id, { exitCode, isOomKilled });
      }
    }
  }

  /** What ends until the next look ends with the engine. */
  noteEngineAway(): void {
    this.#wasEngineAway = true;
  }

  /** Whether a run has ended that the agent did not end: an engine that shuts down looks so at first. */
  hasNewEnd(containers: Containers): boolean {
    return containers.some(({ id, state }) => {
      const track = this.#tracks.get(id);
      return track !== undefined && state.finishedAt !== track.finishedAt && this.#deedOn(id) === undefined;
    });
  }

  /** Takes in the containers of the Project as just observed. */
  look(containers: Containers, context: LookContext): ReadonlyMap<string, ContainerTrack> {
    const { nowMs, restarter, restartOf } = context;
    this.#noteLost(containers, context);
    const tracks = containers.map((container) => {
      const { id } = container;
      const previous = this.#tracks.get(id);
      const track = trackContainer(previous, container, {
        nowMs,
        restarter,
        deed: this.#deedOn(id),
        hint: this.#hints.get(id),
        wasEngineAway: this.#wasEngineAway,
        restart: restartOf?.(container),
        heritage: previous === undefined ? this.#findHeritage(container, context) : undefined,
      });
      return [id, track] as const;
    });
    this.#wasEngineAway = false;
    this.#tracks = new Map(tracks);
    this.#owners = new Map(containers.map(({ id, owner }) => [id, owner]));
    this.#forgetGone();
    return this.#tracks;
  }

  #deedOn(id: string): Deed['kind'] | undefined {
    const deed = this.#deeds.get(id);
    return deed !== undefined && deed.startedAt === this.#tracks.get(id)?.startedAt ? deed.kind : undefined;
  }

  #noteLost(containers: Containers, { now, restartOf }: LookContext): void {
    if (restartOf === undefined) {
      this.#lost.clear();
      return;
    }
    const present = new Set(containers.map(({ id }) => id));
    for (const [id, track] of this.#tracks) {
      const owner = this.#owners.get(id);
      if (owner === undefined || present.has(id) || this.#deeds.get(id)?.kind === 'stop') {
        continue;
      }
      const startedAt = track.startedAt === undefined ? {} : { startedAt: track.startedAt };
      const lastExit = { reason: 'Removed' as const, ...startedAt, finishedAt: now };
      this.#lost.set(owner.service, { configHash: owner.configHash, restarts: track.restarts, lastExit });
    }
  }

  /** Another container of the same making goes on from the record of the one before. */
  #findHeritage({ id, owner }: Container, { reported }: LookContext): Heritage | undefined {
    const lost = this.#lost.get(owner.service);
    if (lost !== undefined) {
      this.#lost.delete(owner.service);
      return lost.configHash === owner.configHash ? { ...lost, restarts: (lost.restarts ?? 0) + 1, isOwn: false } : undefined;
    }
    const own = reported.find(({ containerId }) => containerId === id);
    return own === undefined ? undefined : { ...own, isOwn: true };
  }

  #forgetGone(): void {
    for (const kept of [this.#deeds, this.#hints, this.#outOfMemory]) {
      for (const id of kept.keys()) {
        if (!this.#tracks.has(id)) {
          kept.delete(id);
        }
      }
    }
  }
}
