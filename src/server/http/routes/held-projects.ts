/** What agents run on with after a restore: listed, told by agents, and adopted. */
import { decodeOrThrow } from '../../../api/decode.ts';
import { HeldListSchema, HeldReport } from '../../../api/project/held-project.ts';
import { API_VERSION } from '../../../api/meta.ts';
import { ProjectSchema } from '../../../api/project.ts';
import { createReportDecoder } from '../../../api/report.ts';
import { scopeFilter } from '../../auth/scope.ts';
import type { HeldService } from '../../held/held-service.ts';
import { defineRoute, type Route } from '../route.ts';

const reportDecoder = createReportDecoder(HeldReport);

export function heldRoutes({ held }: { readonly held: HeldService }): readonly Route[] {
  const tag = 'projects';
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/held-projects',
      access: { verb: 'read', resource: 'projects' },
      summary: 'List what nodes run on with though the state that was restored does not know it, or not as it is',
      tag,
      answers: { 200: { description: 'The list', schema: HeldListSchema } },
      handle: async ({ caller }) => {
        const isTheirs = scopeFilter(caller);
        const items = await held.list();
        // the labels that they had are the node's word alone: who is limited by labels sees none
        const seen = items.filter(({ project: name, node }) =>
          isTheirs({ kind: 'Project', metadata: { name, labels: {} }, status: { nodeRef: node } }),
        );
        return { apiVersion: API_VERSION, kind: 'HeldProjectList', items: seen };
      },
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/v1/nodes/{node}/held-projects',
      access: { verb: 'report', resource: 'nodes', nodes: 'self' },
      summary: 'An agent tells what it holds since a restore; when that changes',
      tag: 'agents',
      bodies: { 'application/json': HeldReport },
      answers: {
        204: { description: 'Taken in' },
        409: { description: 'It speaks of another epoch' },
        410: { description: 'There is no such node' },
      },
      handle: async ({ params, body, reply }) => {
        await held.report(params['node'] ?? '', decodeOrThrow(reportDecoder, body, 'report of held Projects'));
        return reply.code(204).send();
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{node}/held-projects/{project}/adopt',
      access: { verb: 'update', resource: 'nodes' }, // an admin's: what it may do, down to root, is the node's word
      summary: 'Make a Project what the agent that holds it has; nothing that runs changes by it',
      tag,
      answers: {
        200: { description: 'The Project', schema: ProjectSchema },
        404: { description: 'The node holds none of that name' },
        409: { description: "The name is another Project's now" },
      },
      handle: async ({ params }) => await held.adopt(params['node'] ?? '', params['project'] ?? ''),
    }),
  ];
}
