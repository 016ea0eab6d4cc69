/**
 * Assignment file: the Projects last assigned to this node, so that they are kept up while the server is away; and which version of each
 * was good last, so that one can go back to it.
 *
 * Owns     DATA_DIR/assignments.json and its latest content in memory. A file that cannot be read is set aside and counts as unknown:
 *          then nothing is cleared away until the server answers.
 * Never    blocks who changes it: a loop writes, and only when something that matters changed (steady state writes nothing).
 * Callers  compose/assignments.ts reads it at the start and changes it; the reconciler keeps its rollouts here, held-keeper.ts what is held.
 */
import { isLeaving } from '../api/project/leaving.ts';
import type { ProjectObject, ServiceStatus } from '../api/project.ts';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Disk } from '../base/disk.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { Wakeup } from '../base/wakeup.ts';
import type { RolloutRecord, RolloutStore } from './reconcile/desired/rollout.ts';
import { NOTHING_HELD, type HeldRecord } from './session/held-projects.ts';
import { Outage } from './outage.ts';

export interface AssignmentFileOptions {
  readonly path: string;
  readonly disk: Disk;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Content {
  readonly format: 1;
  readonly clusterId: string;
  readonly node: string;
  readonly projects: readonly ProjectObject[];
  /** Project's uid -> its versions; absent in files of older agents */
  readonly rollouts?: Readonly<Record<string, RolloutRecord>>;
  /** absent in files of older agents, and while nothing was ever restored */
  readonly held?: HeldRecord;
}

export class AssignmentFile {
  readonly #options: AssignmentFileOptions;
  readonly #wakeup = new Wakeup();
  #clusterId: string | undefined;
  /** project name -> the Project, slimmed to what supervision needs */
  #projects = new Map<string, ProjectObject>();
  /** Project's uid -> its versions */
  readonly #rollouts = new Map<string, RolloutRecord>();
  #held: HeldRecord = NOTHING_HELD;
  /** content that matters, as on disk; undefined: unknown */
  #written: string | undefined;

  constructor(options: AssignmentFileOptions) {
    this.#options = options;
  }

  /** @returns the Projects as last assigned by this cluster to this node; undefined when that is not known */
  async read(clusterId: string): Promise<readonly ProjectObject[] | undefined> {
    const content = await this.#readContent();
    if (content?.clusterId !== clusterId || content.node !== this.#options.nodeName) {
      return undefined;
    }
    this.#clusterId = clusterId;
    this.#projects = new Map(content.projects.map((project) => [project.metadata.name, project]));
    Object.entries(content.rollouts ?? {}).forEach(([uid, record]) => this.#rollouts.set(uid, record));
    this.#held = content.held ?? NOTHING_HELD;
    this.#written = this.#fingerprint();
    return content.projects;
  }

  /** Which version of each Project was good last, and which was given up; forgotten with the Project. */
  get rollouts(): RolloutStore {
    return {
      find: (uid) => this.#rollouts.get(uid),
      put: (uid, record) => {
        this.#rollouts.set(uid, record);
        this.#wakeup.notify();
      },
    };
  }

  /** Under which epoch the assignments are, and what is held since it began. */
  get held(): HeldRecord {
    return this.#held;
  }

  setHeld(record: HeldRecord): void {
    this.#held = record;
    this.#wakeup.notify();
  }

  /** As `all`, where they are of this cluster. */
  allOf(clusterId: string): readonly ProjectObject[] | undefined {
    return this.#clusterId === clusterId ? this.list() : undefined;
  }

  /** Takes the complete set, as just listed. */
  replaceAll(clusterId: string, projects: readonly ProjectObject[]): void {
    this.#clusterId = clusterId;
    this.#projects = new Map(projects.map((project) => [project.metadata.name, slim(project)]));
    this.#forgetRollouts();
    this.#wakeup.notify();
  }

  /** All, as last assigned; undefined while that is not known. */
  all(): readonly ProjectObject[] | undefined {
    return this.#clusterId === undefined ? undefined : [...this.#projects.values()];
  }

  /** The Project of that name, as last assigned. */
  find(project: string): ProjectObject | undefined {
    return this.#projects.get(project);
  }

  /** All, as last assigned; none while that is not known. */
  list(): readonly ProjectObject[] {
    return [...this.#projects.values()];
  }

  put(project: ProjectObject): void {
    this.#projects.set(project.metadata.name, slim(project));
    this.#wakeup.notify();
  }

  /** Forgets the Project unless another one has taken its name. */
  delete(project: string, uid: string): void {
    if (this.#projects.get(project)?.metadata.uid === uid) {
      this.#projects.delete(project);
      this.#forgetRollouts();
      this.#wakeup.notify();
    }
  }

  /** Writes what changes until aborted, and once more then. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = new Backoff({ baseMs: 1000, capMs: 30_000 }, random);
    const outage = new Outage(log, clock, 'assignment file');
    const flush = async (): Promise<number> => {
      try {
        await this.#flush();
        outage.recovered();
        backoff.reset();
        return Infinity;
      } catch (error) {
        outage.failed(error);
        return backoff.nextMs();
      }
    };
    let waitMs = Infinity;
    while (!signal.aborted) {
      await this.#wakeup.wait(clock, waitMs, signal).catch(() => undefined); // aborted: the last change is still to be written
      waitMs = await flush();
    }
    await flush();
  }

  async #flush(): Promise<void> {
    const fingerprint = this.#fingerprint();
    if (this.#clusterId === undefined || fingerprint === this.#written) {
      return;
    }
    const content: Content = {
      format: 1,
      clusterId: this.#clusterId,
      node: this.#options.nodeName,
      projects: [...this.#projects.values()],
      rollouts: Object.fromEntries(this.#rollouts),
      ...(this.#held.epoch !== '' && { held: this.#held }),
    };
    await this.#options.disk.writeText(this.#options.path, `${JSON.stringify(content)}\n`);
    this.#written = fingerprint;
  }

  /** What makes an assignment another one; the rest of status, and versions, move with each report and matter to nobody who reads the file. */
  #fingerprint(): string {
    const projects = [...this.#projects.values()].map(({ metadata, spec, status }) => [
      metadata.uid,
      metadata.generation,
      metadata.deletedAt,
      metadata.labels,
      status.assignment,
      status.restarts,
      status.secrets, // their fingerprints are part of what a container is; values are never here
      status.services.map(({ state: _state, ...service }) => service),
      isLeaving({ status }), // or a restart without the server would bring it up again after its stop was confirmed
      spec,
    ]);
    return JSON.stringify([this.#clusterId, projects, [...this.#rollouts], this.#held]);
  }

  #forgetRollouts(): void {
    const uids = new Set([...this.#projects.values()].map(({ metadata }) => metadata.uid));
    for (const uid of [...this.#rollouts.keys()].filter((known) => !uids.has(known))) {
      this.#rollouts.delete(uid);
    }
  }

  async #readContent(): Promise<Content | undefined> {
    const { path, disk, log } = this.#options;
    let text: string | undefined;
    try {
      text = await disk.readText(path);
    } catch (error) {
      log.warn({ path, detail: String(error) }, 'assignment file cannot be read: nothing is cleared away until the server answers');
    }
    if (text === undefined) {
      return undefined;
    }
    const content = parse(text);
    if (content === undefined) {
      await this.#setAside();
    }
    return content;
  }

  async #setAside(): Promise<void> {
    const { path, disk, clock, log } = this.#options;
    const aside = `${path}.corrupt-${new Date(clock.wallMs()).toISOString().replaceAll(/[:.]/gu, '')}`;
    log.warn({ path, aside }, 'assignment file is corrupt and set aside: nothing is cleared away until the server answers');
    await disk
      .rename(path, aside)
      .catch((error: unknown) => log.warn({ path, detail: String(error) }, 'assignment file cannot be set aside'));
  }
}

function slim(project: ProjectObject): ProjectObject {
  return { ...project, status: { ...project.status, services: project.status.services.map(slimService), conditions: [] } };
}

/**
 * What cannot be found out again after a restart: which run was known to be well, how often it was restarted, and why. Without it a
 * restarted agent would call a healthy service unproven, and its restarts none.
 */
function slimService({ name, state, ready, containerId, startedAt, restarts, lastExit }: ServiceStatus): ServiceStatus {
  return {
    name,
    state,
    ready,
    ...(containerId !== undefined && { containerId }),
    ...(startedAt !== undefined && { startedAt }),
    ...(restarts !== undefined && { restarts }),
    ...(lastExit !== undefined && { lastExit }),
  };
}

function parse(text: string): Content | undefined {
  try {
    const content = JSON.parse(text) as Partial<Content> | null;
    const isContent =
      content?.format === 1 &&
      typeof content.clusterId === 'string' &&
      typeof content.node === 'string' &&
      Array.isArray(content.projects) &&
      content.projects.every(isProject);
    return isContent ? (content as Content) : undefined;
  } catch {
    return undefined; // no JSON
  }
}

/** Enough to be supervised: this program wrote it, so only damage is looked for. */
function isProject(value: Partial<ProjectObject> | null): boolean {
  return (
    typeof value?.metadata?.name === 'string' &&
    typeof value.metadata.uid === 'string' &&
    Array.isArray(value.spec?.services) &&
    typeof value.status?.assignment === 'number'
  );
}
