/**
 * Project controller: what time and nodes do to Projects: expiry, loss of a node, termination that no agent confirms, moves that find
 * no place.
 *
 * Owns     the conditions NodeReachable, FitsNode and Expiring, the phases Failed/NodeLost and Terminating/Expired, and giving up a lost node
 *          (back to Pending). In memory: since when this process has seen what (loss-tracker.ts), and when to look at which Project again.
 * Never    chooses a node. Never acts on how long something lasted before this process saw it.
 * Callers  start-projects.ts spawns `run`; the mirrors' changes and its own deadlines wake it.
 */
import { hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { abortable } from '../../base/abortable.ts';
import type { Clock } from '../../base/clock.ts';
import { inBatches, inTurns } from '../../base/in-turns.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store, Write } from '../../store/store.ts';
import type { FenceLedger } from '../nodes/fence-ledger.ts';
import { matchesSelector, refuseState } from '../scheduler/filters.ts';
import { fenceHoldMs } from './fence-terms.ts';
import { ProjectWatch } from './project-watch.ts';
import { type Timeouts, type Verdict, judgeProject } from './project-verdict.ts';
import { writesOfRemoval } from './revisions.ts';

export interface ProjectControllerDeps extends Timeouts {
  readonly store: Store;
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
  readonly fences: Pick<FenceLedger, 'leftMs' | 'close'>;
  /** whether more is known of the node than its record says as yet: a store that stands still is no reason to give up who is back */
  readonly isOutdated: (node: NodeObject) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ProjectController {
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<void>;
}

const CONFLICT_PAUSE_MS = 250; // somebody else wrote: most often their change wakes us sooner
const RETRY_MS = 1_000; // the store does not answer

export function createProjectController(deps: ProjectControllerDeps): ProjectController {
  const log = deps.log.child({ component: 'project-controller' });
  return { run: (signal) => runController({ ...deps, log }, signal) };
}

async function runController(deps: ProjectControllerDeps, signal: AbortSignal): Promise<void> {
  const { nodes, projects, clock } = deps;
  await abortable(Promise.all([nodes.ready(), projects.ready()]), signal);
  const wakeup = new Wakeup();
  const watch = new ProjectWatch((name) => nodes.get(name));
  const { noteNode, noteProject, unsubscribe } = follow(deps, watch, wakeup);
  try {
    await inTurns(nodes.items().keys(), noteNode, clock, signal);
    await inTurns(projects.items().keys(), noteProject, clock, signal);
    for (;;) {
      signal.throwIfAborted();
      const due = watch.takeDue(clock.monotonicMs());
      await inBatches(due, (name) => reconcileProject(deps, watch, name), clock, signal); // after a start all are due
      await wakeup.wait(clock, watch.nextDueMs() - clock.monotonicMs(), signal);
    }
  } finally {
    unsubscribe();
  }
}

interface Following {
  readonly noteNode: (name: string) => void;
  readonly noteProject: (name: string) => void;
  readonly unsubscribe: () => void;
}

/** Notes what changes in the mirrors from now on. @returns also what notes one that is there already */
function follow({ nodes, projects, clock }: ProjectControllerDeps, watch: ProjectWatch, wakeup: Wakeup): Following {
  const noteNode = (name: string): void => watch.noteNode(name, nodes.get(name), clock.monotonicMs());
  const noteProject = (name: string): void => {
    const project = projects.get(name);
    const nodeRef = project?.status.nodeRef;
    const nowMs = clock.monotonicMs();
    watch.noteProject(name, project, nowMs);
    if (nodeRef !== undefined && nodes.get(nodeRef) === undefined && watch.findLoss(nodeRef, nowMs) === undefined) {
      noteNode(nodeRef); // no change will tell of a node that was gone before
    }
  };
  const stopNodes = nodes.onChange(({ object }) => {
    noteNode(object.metadata.name);
    wakeup.notify();
  });
  const stopProjects = projects.onChange(({ object }) => {
    noteProject(object.metadata.name);
    wakeup.notify();
  });
  const unsubscribe = (): void => {
    stopNodes();
    stopProjects();
  };
  return { noteNode, noteProject, unsubscribe };
}

/** One look at one Project: observe, judge, write. Its failure is its own: it is looked at again later. */
async function reconcileProject(deps: ProjectControllerDeps, watch: ProjectWatch, name: string): Promise<void> {
  const { store, nodes, projects, fences, isOutdated, clock, log } = deps;
  const project = projects.get(name);
  if (project === undefined) {
    return;
  }
  try {
    const { nodeRef } = project.status;
    const node = nodeRef === undefined ? undefined : nodes.get(nodeRef);
    const nowMs = clock.monotonicMs();
    const loss = nodeRef === undefined ? undefined : watch.findLoss(nodeRef, nowMs);
    if (loss !== undefined && node !== undefined && isOutdated(node)) {
      watch.lookAgain(name, nowMs + RETRY_MS); // unless the record, once written, wakes us sooner
      return;
    }
    const verdict = judgeProject({
      project,
      node,
      loss,
      fenceLeftMs: nodeRef === undefined ? 0 : fences.leftMs(nodeRef, fenceHoldMs(project), nowMs),
      inTransitionForMs: watch.inTransitionForMs(name, nowMs),
      hasRefuge: () => hasRefuge(nodes, project),
      sumOlder: () => watch.sumOlder(project),
      nowMs: clock.wallMs(),
      timeouts: deps,
    });
    watch.lookAgain(name, verdict.kind === 'keep' ? nowMs + verdict.lookAgainMs : Infinity);
    if (verdict.kind === 'keep' && verdict.project === project) {
      return;
    }
    // from the look at what was granted last until the commit nothing more is, or the node's agent would count on what is given away
    using _closed = nodeRef !== undefined && isGivenUp(verdict) ? fences.close(nodeRef) : undefined;
    await store.commit(await writesOf(store, { project, node, verdict }));
    logVerdict(log, project, verdict);
  } catch (error) {
    const isRace = hasReason(error, 'Conflict', 'NotFound');
    watch.lookAgain(name, clock.monotonicMs() + (isRace ? CONFLICT_PAUSE_MS : RETRY_MS));
    if (!isRace) {
      log.error({ err: error, project: name }, 'project cannot be reconciled');
    }
  }
}

/** What was judged by the node is written only while the node is as it was judged. */
async function writesOf(store: Store, { project, node, verdict }: Judged): Promise<readonly Write[]> {
  const { metadata, status } = project;
  const writes: readonly Write[] =
    verdict.kind === 'drop'
      ? await writesOfRemoval(store, project)
      : [{ op: 'update', object: verdict.project, expectedVersion: metadata.resourceVersion }];
  return status.nodeRef === undefined
    ? writes
    : [{ op: 'check', kind: 'Node', name: status.nodeRef, expectedVersion: node?.metadata.resourceVersion }, ...writes];
}

interface Judged {
  readonly project: ProjectObject;
  readonly node: NodeObject | undefined;
  readonly verdict: Verdict;
}

/** Tells whether another node may have the Project from now on. */
function isGivenUp(verdict: Verdict): boolean {
  return verdict.kind === 'drop' || verdict.project.status.nodeRef === undefined;
}

/** Tells whether another node might take the Project: giving up the only place it can be would end in its removal there, for nothing. */
function hasRefuge(nodes: Mirror<NodeObject>, { spec, status }: ProjectObject): boolean {
  const nodeSelector = Object.entries(spec.nodeSelector ?? {});
  return nodes
    .items()
    .values()
    .some((node) => node.metadata.name !== status.nodeRef && refuseState(node) === undefined && matchesSelector(node, nodeSelector));
}

function logVerdict(log: Logger, { metadata, status }: ProjectObject, verdict: Verdict): void {
  const fields = { project: metadata.name, node: status.nodeRef, from: status.phase };
  if (verdict.kind === 'keep' && status.move !== undefined && verdict.project.status.move === undefined) {
    log.info({ project: metadata.name, from: status.move.from, to: status.move.to }, 'project move ended without a place');
  }
  if (verdict.kind === 'drop') {
    log.info({ ...fields, reason: verdict.because }, 'project dropped');
  } else if (verdict.project.status.phase !== status.phase) {
    log.info({ ...fields, to: verdict.project.status.phase, reason: verdict.project.status.reason }, 'project phase changed');
  }
}
