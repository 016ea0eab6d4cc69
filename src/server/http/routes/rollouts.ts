/** Routes of a Project's history, and of going back and restarting. */
import { createDecoder, decodeOrThrow } from '../../../api/decode.ts';
import { API_VERSION } from '../../../api/meta.ts';
import { ProjectSchema, type ProjectObject } from '../../../api/project.ts';
import { ProjectRevisionList, RestartRequest, UndoRequest } from '../../../api/project/revision.ts';
import { createAdmit } from '../../auth/admission.ts';
import { userOf, type Caller } from '../../auth/caller.ts';
import { checkName } from '../../auth/scope.ts';
import type { Asker, RolloutService } from '../../projects/rollout-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { getObject, nameOf, type ResourceRoutesDeps } from './resource-routes.ts';

export interface RolloutRoutesDeps extends ResourceRoutesDeps {
  readonly rollouts: RolloutService;
}

const undoDecoder = createDecoder(UndoRequest);
const restartDecoder = createDecoder(RestartRequest);

export function rolloutRoutes({ store, rollouts }: RolloutRoutesDeps): readonly Route[] {
  const tag = 'projects';
  const askerOf = (caller: Caller): Asker => ({ admit: createAdmit(caller, store), by: userOf(caller) });
  const change = { verb: 'update', resource: 'projects' } as const;
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/projects/{name}/history',
      summary: 'The last ten specs of a project, oldest first, and what became of them',
      tag,
      access: { verb: 'read', resource: 'projects' },
      answers: { 200: { description: 'The revisions', schema: ProjectRevisionList }, 404: { description: 'There is none of that name' } },
      handle: async ({ params, caller }): Promise<ProjectRevisionList> => {
        await getObject<ProjectObject>(store, { kind: 'Project', name: nameOf(params), caller });
        return { apiVersion: API_VERSION, kind: 'ProjectRevisionList', items: await rollouts.history(nameOf(params)) };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/projects/{name}/undo',
      summary: 'Ask for an earlier spec of a project again',
      tag,
      access: change,
      bodies: { 'application/json': UndoRequest },
      answers: {
        200: { description: 'It, with that spec as its newest', schema: ProjectSchema },
        400: { description: 'There is no such revision' },
        404: { description: 'There is none of that name' },
        409: { description: 'It is being deleted' },
      },
      handle: async ({ params, body, caller }) => {
        checkName(caller, 'change', { kind: 'Project', name: nameOf(params) });
        return rollouts.undo(nameOf(params), decodeOrThrow(undoDecoder, body ?? {}, 'request to undo'), askerOf(caller));
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/projects/{name}/restart',
      summary: 'Replace the containers of a project, or of some of its services, by new ones',
      tag,
      access: change,
      bodies: { 'application/json': RestartRequest },
      answers: {
        200: { description: 'It', schema: ProjectSchema },
        400: { description: 'It has no such service' },
        404: { description: 'There is none of that name' },
        409: { description: 'It is being deleted' },
      },
      handle: async ({ params, body, caller }) => {
        checkName(caller, 'change', { kind: 'Project', name: nameOf(params) });
        return rollouts.restart(nameOf(params), decodeOrThrow(restartDecoder, body ?? {}, 'request to restart'), askerOf(caller));
      },
    }),
  ];
}
