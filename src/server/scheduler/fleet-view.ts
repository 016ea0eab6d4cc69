/**
 * Fleet view: snapshot and queue, fed by the mirrors and, where those lag, by what was just written or read.
 *
 * Callers  scheduler.ts notes what the mirrors show; scheduling-round.ts adopts what it wrote.
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { PendingQueue } from './pending-queue.ts';
import { Snapshot, versionOf } from './snapshot.ts';

export class FleetView {
  readonly snapshot = new Snapshot();
  readonly pending = new PendingQueue();
  readonly #store: Store;
  readonly #nodes: Mirror<NodeObject>;
  readonly #projects: Mirror<ProjectObject>;

  constructor(sources: { readonly store: Store; readonly nodes: Mirror<NodeObject>; readonly projects: Mirror<ProjectObject> }) {
    this.#store = sources.store;
    this.#nodes = sources.nodes;
    this.#projects = sources.projects;
  }

  /** Takes in what the mirror has of a node. */
  noteNode(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) {
      this.snapshot.removeNode(name);
    } else {
      this.snapshot.setNode(node);
    }
  }

  /** Takes in what the mirror has of a Project. */
  noteProject(name: string): void {
    const project = this.#projects.get(name);
    if (project === undefined) {
      this.snapshot.removeProject(name);
      this.pending.remove(name);
    } else {
      this.#take(project);
    }
  }

  /** Takes in a Project as the store has it. A mirror that has come that far has shown it and what came after: it may be gone by now. */
  adopt(project: ProjectObject): void {
    if (this.#projects.version < versionOf(project)) {
      this.#take(project);
    }
  }

  /** Reads a Project, and a node where one is named, from the store: what was decided on was out of date. */
  async refresh(projectName: string, nodeName: string | undefined): Promise<void> {
    const [project, node] = await Promise.all([
      this.#store.get<ProjectObject>('Project', projectName),
      nodeName === undefined ? undefined : this.#store.get<NodeObject>('Node', nodeName),
    ]);
    if (project !== undefined) {
      this.adopt(project);
    }
    if (node !== undefined && this.#nodes.version < versionOf(node)) {
      this.snapshot.setNode(node);
    }
  }

  #take(project: ProjectObject): void {
    if (!this.snapshot.setProject(project)) {
      return;
    }
    if (project.status.phase === 'Pending' && project.status.nodeRef === undefined) {
      this.pending.put(project);
    } else {
      this.pending.remove(project.metadata.name);
    }
  }
}
