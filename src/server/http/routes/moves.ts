/** Routes that empty a node and that move a Project. */
import { createDecoder, decodeOrThrow } from '../../../api/decode.ts';
import { DrainPlan, MoveRequest } from '../../../api/project/drain.ts';
import type { Store } from '../../../store/store.ts';
import type { MoveService } from '../../projects/move-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { getObject, nameOf } from './resource-routes.ts';

export interface MoveRoutesDeps {
  readonly store: Store;
  readonly moves: MoveService;
  readonly stopSignal: AbortSignal;
}

const requestDecoder = createDecoder(MoveRequest);

export function moveRoutes({ store, moves, stopSignal }: MoveRoutesDeps): readonly Route[] {
  const decode = (body: unknown): MoveRequest => decodeOrThrow(requestDecoder, body ?? {}, 'request to move');
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/drain',
      access: { verb: 'update', resource: 'nodes' },
      summary: 'Cordon a node and ask every project on it that can move to leave; progress shows in the projects',
      tag: 'nodes',
      bodies: { 'application/json': MoveRequest },
      answers: {
        200: { description: 'What becomes of each project on the node', schema: DrainPlan },
        404: { description: 'There is none of that name' },
      },
      handle: ({ params, body }) => moves.drain(nameOf(params), decode(body), stopSignal),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/projects/{name}/move',
      access: { verb: 'update', resource: 'projects' },
      summary: 'Ask a project to leave its node; its agent stops it first',
      tag: 'projects',
      bodies: { 'application/json': MoveRequest },
      answers: {
        200: { description: 'What becomes of it', schema: DrainPlan },
        404: { description: 'There is none of that name' },
        409: { description: 'It cannot be moved, and why' },
      },
      handle: async ({ params, body, caller }) => {
        const request = decode(body);
        await getObject(store, { kind: 'Project', name: nameOf(params), caller });
        return moves.move(nameOf(params), request, stopSignal);
      },
    }),
  ];
}
