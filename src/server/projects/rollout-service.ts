/**
 * Rollout service: a Project's history, going back in it, and restarting its services.
 *
 * Owns     `status.restarts`. Both verbs make a new generation: what runs is to be another, and who waits for it has a number to wait for.
 * Never    touches what an agent reports; the agent makes of it what it makes of any change.
 * Callers  http/routes/rollouts.ts
 */
import { isDeepStrictEqual } from 'node:util';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject, ServiceRestart } from '../../api/project.ts';
import type { ProjectRevision, RestartRequest, UndoRequest } from '../../api/project/revision.ts';
import type { Admit } from '../auth/admission.ts';
import { listRevisions } from './revisions.ts';
import { getProject, rewriteProject, type RewriteContext } from './rewrite-project.ts';

export interface Asker {
  readonly admit?: Admit | undefined;
  /** the user's name, where it is known */
  readonly by?: string | undefined;
}

export interface RolloutService {
  /** Oldest first. @throws {ApiError} NotFound */
  history(name: string): Promise<readonly ProjectRevision[]>;
  /** Makes an earlier spec the one asked for. @throws {ApiError} NotFound; NoRevision, Invalid where there is none to go back to, or nothing would change */
  undo(name: string, request: UndoRequest, asker?: Asker): Promise<ProjectObject>;
  /** @throws {ApiError} NotFound; Invalid for a service that it does not have */
  restart(name: string, request: RestartRequest, asker?: Asker): Promise<ProjectObject>;
}

export function createRolloutService(deps: Omit<RewriteContext, 'admit' | 'by'>): RolloutService {
  const context = { ...deps, log: deps.log.child({ component: 'rollout-service' }) };
  return {
    history: async (name) => await listRevisions(deps.store, await getProject(deps.store, name)),
    undo: async (name, request, asker) => {
      let revision: number | undefined;
      const { object } = await rewriteProject(
        { ...context, ...asker },
        {
          name,
          cause: () => `undo to revision ${revision}`,
          decide: async (existing, now) => {
            const target = findTarget(existing, await listRevisions(deps.store, existing), request);
            revision = target.revision;
            return nextGeneration({ ...existing, spec: target.spec }, now);
          },
        },
      );
      return object;
    },
    restart: async (name, { services }, asker) => {
      const { object } = await rewriteProject(
        { ...context, ...asker },
        {
          name,
          cause: services === undefined ? 'restart' : `restart ${services.join(', ')}`,
          decide: (existing, now) => markRestart(existing, services, now),
        },
      );
      return object;
    },
  };
}

function nextGeneration(project: ProjectObject, now: string): ProjectObject {
  const { metadata } = project;
  return { ...project, metadata: { ...metadata, generation: metadata.generation + 1, updatedAt: now } };
}

/** @throws {ApiError} NoRevision, Invalid */
function findTarget(
  { metadata, spec }: ProjectObject,
  revisions: readonly ProjectRevision[],
  { toRevision }: UndoRequest,
): ProjectRevision {
  const action = `Cannot undo project ${JSON.stringify(metadata.name)}`;
  const earlier = revisions.filter(({ isCurrent }) => !isCurrent);
  const known = earlier.length === 0 ? 'it has no earlier one' : `known are ${earlier.map(({ revision }) => revision).join(', ')}`;
  if (toRevision === undefined) {
    const target = earlier.findLast((revision) => revision.outcome === 'Good' && !isDeepStrictEqual(revision.spec, spec));
    if (target === undefined) {
      throw new ApiError('NoRevision', `${action} as no earlier revision with another spec was ever good: name one yourself; ${known}`);
    }
    return target;
  }
  const target = revisions.find(({ revision }) => revision === toRevision);
  if (target === undefined || target.isCurrent || isDeepStrictEqual(target.spec, spec)) {
    const why = target === undefined ? `there is no revision ${toRevision}` : `revision ${toRevision} is what it asks for already`;
    throw new ApiError('Invalid', `${action} as ${why}: ${known}`, { errors: [{ pointer: '/toRevision', detail: why }] });
  }
  return target;
}

/** @throws {ApiError} Invalid */
function markRestart(existing: ProjectObject, services: RestartRequest['services'], now: string): ProjectObject {
  const names = existing.spec.services.map(({ name }) => name);
  const unknown = services?.findIndex((service) => !names.includes(service)) ?? -1;
  if (unknown >= 0) {
    const detail = `must be a service of the project (${names.join(', ')}): current value is ${JSON.stringify(services?.[unknown])}`;
    throw new ApiError(
      'Invalid',
      `Cannot restart service ${JSON.stringify(services?.[unknown])} of project ${JSON.stringify(existing.metadata.name)} as it has none of that name: it has ${names.join(', ')}`,
      {
        errors: [{ pointer: `/services/${unknown}`, detail }],
      },
    );
  }
  const asked = new Set(services ?? names);
  const kept = (existing.status.restarts ?? []).filter(({ service }) => names.includes(service) && !asked.has(service));
  const restarts: readonly ServiceRestart[] = [...kept, ...[...asked].map((service) => ({ service, at: now }))];
  return nextGeneration({ ...existing, status: { ...existing.status, restarts } }, now);
}
