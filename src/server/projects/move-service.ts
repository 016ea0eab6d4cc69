/**
 * Move service: asks Projects to leave their nodes: all of a node's (drain), or one (move).
 *
 * Owns     `status.move` until the agent has confirmed the stop; from then on it is the scheduler's and the project controller's to end.
 *          Nothing is kept here: what was asked is in the Projects, and goes on without this process.
 * Never    moves what cannot be confirmed to have stopped, or what would leave data behind. Never takes a request back: the agent may
 *          have begun, and nobody but it could tell.
 * Callers  http/routes/moves.ts
 */
import type { DrainEntry, DrainPlan, MoveRequest } from '../../api/project/drain.ts';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import { type Clock, nowRfc3339 } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Store } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import { Snapshot } from '../scheduler/snapshot.ts';
import { planDrain, reserveForTravellers } from './plan-drain.ts';
import { isBetweenNodes, redirectMove, requestMove } from './project-move.ts';
import { isTerminating } from './project-status.ts';

export interface MoveServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Keeps new Projects off a node. @throws {ApiError} NotFound */
  readonly cordon: (node: string) => Promise<unknown>;
  /** called when a node is drained that has no Project already; must not throw */
  readonly onEmpty?: (node: NodeObject) => void;
}

export interface MoveService {
  /**
   * Cordons the node and asks every Project on it that can move to leave; asking again asks only those that were not asked.
   * @throws {ApiError} NotFound; Invalid for a `to` that cannot be
   */
  drain(node: string, request: MoveRequest, signal: AbortSignal): Promise<DrainPlan>;
  /**
   * Asks one Project to leave its node; of one that has left already it changes where it goes.
   * @throws {ApiError} NotFound; Invalid for a `to` that cannot be; Immovable, with why
   */
  move(project: string, request: MoveRequest, signal: AbortSignal): Promise<DrainPlan>;
}

export function createMoveService(deps: MoveServiceDeps): MoveService {
  const context = { ...deps, log: deps.log.child({ component: 'move-service' }) };
  return {
    drain: (node, request, signal) => drainNode(context, node, request, signal),
    move: (project, request, signal) => retryOnConflict(() => moveProject(context, project, request, signal)),
  };
}

type Context = MoveServiceDeps;

async function drainNode(context: Context, name: string, { dryRun = false, to }: MoveRequest, signal: AbortSignal): Promise<DrainPlan> {
  const { store, cordon, log } = context;
  const node = await store.get<NodeObject>('Node', name);
  if (node === undefined) {
    throw notFound('node', name, 'drain');
  }
  await checkTarget(context, to, name);
  if (!dryRun) {
    await cordon(name); // before the Projects are read: from here on none is bound to it any more
  }
  const projects = await askToLeave(context, { node: name, to, dryRun, selects: () => true }, signal);
  if (!dryRun) {
    log.info(
      { node: name, to, projects: projects.length, moving: projects.filter(({ action }) => action === 'Move').length },
      'node drained',
    );
    if (projects.length === 0) {
      context.onEmpty?.(node);
    }
  }
  return { node: name, projects };
}

async function moveProject(context: Context, name: string, request: MoveRequest, signal: AbortSignal): Promise<DrainPlan> {
  const { dryRun = false, to } = request;
  const project = await context.store.get<ProjectObject>('Project', name);
  if (project === undefined) {
    throw notFound('project', name);
  }
  const { nodeRef } = project.status;
  if (nodeRef === undefined) {
    return redirect(context, project, request);
  }
  await checkTarget(context, to, nodeRef);
  const selects = (other: ProjectObject): boolean => other.metadata.name === name;
  const [entry] = await askToLeave(context, { node: nodeRef, to, dryRun, selects }, signal);
  if (entry === undefined) {
    throw new ApiError('Conflict', `Cannot move project ${JSON.stringify(name)} as it has left ${nodeRef} meanwhile`); // tried again
  }
  if (!dryRun && (entry.action === 'Keep' || entry.reason === 'Terminating')) {
    throw new ApiError('Immovable', `Cannot move project ${JSON.stringify(name)} as ${entry.message}`);
  }
  return { node: nodeRef, projects: [entry] };
}

/** A Project without a node can only be told where to go, and only where it is on its way: nobody has asked for any other place yet. */
async function redirect(context: Context, project: ProjectObject, { dryRun = false, to }: MoveRequest): Promise<DrainPlan> {
  const { store, clock, log } = context;
  const { name } = project.metadata;
  const { move } = project.status;
  if (isTerminating(project) || !isBetweenNodes(project) || move === undefined) {
    const why = isTerminating(project) ? 'it is being deleted' : 'it is on no node: the scheduler is looking for one';
    throw new ApiError('Immovable', `Cannot move project ${JSON.stringify(name)} as ${why}`);
  }
  await checkTarget(context, to, undefined);
  if (!dryRun && to !== undefined && to !== move.to) {
    const now = nowRfc3339(clock);
    await store.commit([updateOf(project, redirectMove(project, { ...move, to, requestedAt: now }), now)]);
    log.info({ project: name, from: move.from, to }, 'project asked to move');
  }
  const target = to ?? move.to;
  const message = `it has left ${move.from} and waits for a node`;
  const entry: DrainEntry = { project: name, action: 'Move', ...(target !== undefined && { to: target }), reason: 'Moving', message };
  return { node: move.from, projects: [entry] };
}

/** @throws {ApiError} Invalid */
async function checkTarget({ store }: Context, to: string | undefined, from: string | undefined): Promise<void> {
  if (to === undefined) {
    return;
  }
  const why = to === from ? 'it is the one to leave: name another node' : 'there is none of that name';
  if (to === from || (await store.get('Node', to)) === undefined) {
    const detail = `names the node ${JSON.stringify(to)}: ${why}`;
    throw new ApiError('Invalid', `Cannot move to node ${JSON.stringify(to)} as ${why}`, { errors: [{ pointer: '/to', detail }] });
  }
}

interface Request {
  readonly node: string;
  readonly to: string | undefined;
  readonly dryRun: boolean;
  /** which of the Projects on the node */
  readonly selects: (project: ProjectObject) => boolean;
}

/** How often the plan is made anew because a Project or its place changed meanwhile; each time means that another write went through. */
const MAX_ROUNDS = 16;

/** @throws {ApiError} Conflict when Projects of the node change faster than they can be asked */
async function askToLeave(context: Context, request: Request, signal: AbortSignal): Promise<readonly DrainEntry[]> {
  for (let round = 1; ; round += 1) {
    const { node, projects, snapshot } = await readFleet(context, request.node, signal);
    const here = projects.filter((project) => project.status.nodeRef === request.node && request.selects(project));
    const entries = planDrain({ node, projects: here, to: request.to }, snapshot);
    if (request.dryRun || (await markAll(context, { request, entries, here }))) {
      return entries;
    }
    if (round >= MAX_ROUNDS) {
      throw new ApiError('Conflict', `Cannot ask the Projects on ${request.node} to leave as they keep changing: try again`);
    }
  }
}

/** Objects taken in per turn of the event loop, some 10 ms; then heartbeats and requests get theirs. */
const OBJECTS_PER_TURN = 2_000;

async function readFleet({ store, clock }: Context, name: string, signal: AbortSignal) {
  const snapshot = new Snapshot();
  const [{ items: nodes }, { items: projects }] = await Promise.all([store.list<NodeObject>('Node'), store.list<ProjectObject>('Project')]);
  for (const [index, object] of [...nodes, ...projects].entries()) {
    if (index % OBJECTS_PER_TURN === OBJECTS_PER_TURN - 1) {
      await clock.sleep(0, signal);
    }
    if (object.kind === 'Node') {
      snapshot.setNode(object);
    } else {
      snapshot.setProject(object);
    }
  }
  reserveForTravellers(projects, snapshot);
  return { node: nodes.find(({ metadata }) => metadata.name === name), projects, snapshot };
}

interface Marking {
  readonly request: Request;
  readonly entries: readonly DrainEntry[];
  readonly here: readonly ProjectObject[];
}

/** Asks each that can move, in a commit of its own. @returns false when one had changed since it was looked at */
async function markAll(context: Context, { request, entries, here }: Marking): Promise<boolean> {
  const movable = new Set(entries.filter(({ action }) => action === 'Move').map(({ project }) => project));
  const asked = here.filter(({ metadata }) => movable.has(metadata.name)).map((project) => markOne(context, project, request));
  return (await Promise.all(asked)).every(Boolean);
}

async function markOne({ store, clock, log }: Context, project: ProjectObject, { node, to }: Request): Promise<boolean> {
  const { move } = project.status;
  const isAsked = isLeaving(project) && move !== undefined;
  if (isAsked && (to === undefined || to === move.to)) {
    return true;
  }
  const now = nowRfc3339(clock);
  const wish = { from: node, ...(to !== undefined && { to }), requestedAt: isAsked ? move.requestedAt : now };
  try {
    await store.commit([updateOf(project, isAsked ? redirectMove(project, wish) : requestMove(project, wish, now), now)]);
  } catch (error) {
    if (hasReason(error, 'Conflict', 'NotFound')) {
      return false;
    }
    throw error;
  }
  log.info({ project: project.metadata.name, from: node, to }, 'project asked to move');
  return true;
}

function updateOf(project: ProjectObject, status: ProjectObject['status'], now: string) {
  const { metadata } = project;
  return {
    op: 'update',
    object: { ...project, metadata: { ...metadata, updatedAt: now }, status },
    expectedVersion: metadata.resourceVersion,
  } as const;
}
