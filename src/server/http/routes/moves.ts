/** Routes that empty a node and that move a Project. */
import { createDecoder, decodeOrThrow } from '../../../api/decode.ts';
import { DrainPlan, MoveRequest } from '../../../api/drain.ts';
import type { MoveService } from '../../projects/move-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { nameOf } from './resource-routes.ts';

export interface MoveRoutesDeps {
  readonly moves: MoveService;
  readonly stopSignal: AbortSignal;
}

const requestDecoder = createDecoder(MoveRequest);

export function moveRoutes({ moves, stopSignal }: MoveRoutesDeps): readonly Route[] {
  const decode = (body: unknown): MoveRequest => decodeOrThrow(requestDecoder, body ?? {}, 'request to move');
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/drain',
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
      summary: 'Ask a project to leave its node; its agent stops it first',
      tag: 'projects',
      bodies: { 'application/json': MoveRequest },
      answers: {
        200: { description: 'What becomes of it', schema: DrainPlan },
        404: { description: 'There is none of that name' },
        409: { description: 'It cannot be moved, and why' },
      },
      handle: ({ params, body }) => moves.move(nameOf(params), decode(body), stopSignal),
    }),
  ];
}
