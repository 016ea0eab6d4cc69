/** Routes of Projects: those of every kind, deletion and what agents report. */
import Type, { type Static } from 'typebox';
import { decodeOrThrow } from '../../../api/decode.ts';
import { Closed, OneOf } from '../../../api/meta.ts';
import { decodeProjectApply, decodeProjectManifest } from '../../../api/manifest.ts';
import { PROJECT_PHASES, ProjectApply, ProjectManifest, ProjectSchema, StatusReport, type ProjectObject } from '../../../api/project.ts';
import { createReportDecoder } from '../../../api/report.ts';
import { createAdmit } from '../../auth/admission.ts';
import { checkName, checkNodeRef } from '../../auth/scope.ts';
import type { ProjectService } from '../../projects/project-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { LIST_QUERY, MERGE_PATCH, nameOf, resourceRoutes, type ResourceRoutesDeps } from './resource-routes.ts';

export interface ProjectRoutesDeps extends ResourceRoutesDeps {
  readonly projects: ProjectService;
}

const ProjectQuery = Closed({
  ...LIST_QUERY,
  phase: Type.Optional(
    Type.Array(OneOf(PROJECT_PHASES), { maxItems: 16, description: 'Only those in one of these phases; may be repeated' }),
  ),
  nodeRef: Type.Optional(Type.String({ maxLength: 253, description: 'Only those bound to this node' })),
});
type ProjectQuery = Static<typeof ProjectQuery>;

const DeleteQuery = Closed({
  force: Type.Optional(Type.Boolean({ description: 'Drop the record at once, without waiting for the agent to clear away' })),
});

const reportDecoder = createReportDecoder(StatusReport);

export function projectRoutes(deps: ProjectRoutesDeps): readonly Route[] {
  const { projects } = deps;
  const tag = 'projects';
  return [
    ...resourceRoutes(deps, {
      kind: 'Project',
      plural: 'projects',
      nodes: 'own',
      service: projects,
      decodeManifest: decodeProjectManifest,
      decodeApply: decodeProjectApply,
      schemas: { item: ProjectSchema, manifest: ProjectManifest, apply: ProjectApply, query: ProjectQuery },
      createFilter: createProjectFilter,
      topicOf: ({ nodeRef }) => (nodeRef === undefined ? undefined : { field: 'status.nodeRef', value: nodeRef }),
      checkQuery: ({ nodeRef }, caller) => checkNodeRef(nodeRef, caller, 'projects'),
      present: (project: ProjectObject) => project,
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/projects/{name}',
      summary: 'Delete a project: its agent clears away, then the record goes',
      tag,
      access: { verb: 'delete', resource: 'projects' },
      query: DeleteQuery,
      answers: {
        202: { description: 'Terminating', schema: ProjectSchema },
        204: { description: 'Gone' },
        404: { description: 'There is none of that name' },
      },
      handle: async ({ params, query, caller, reply }) => {
        checkName(caller, 'delete', { kind: 'Project', name: nameOf(params) });
        const admit = createAdmit(caller, deps.store);
        const { object, isGone } = await projects.delete(nameOf(params), { force: query.force === true, admit });
        return isGone ? reply.code(204).send() : reply.code(202).send(object);
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/v1/projects/{name}/status',
      summary: 'An agent reports on a project',
      tag: 'agents',
      access: { verb: 'report', resource: 'projects', nodes: 'own' },
      bodies: { [MERGE_PATCH]: StatusReport, 'application/json': StatusReport },
      answers: {
        204: { description: 'Taken in' },
        403: { description: 'It is bound to another node' },
        404: { description: 'There is none of that name' },
        409: { description: 'The project was given to another node since: clear it away' },
      },
      handle: async ({ params, body, caller, reply }) => {
        const reporter = caller.kind === 'Node' ? caller.node : undefined;
        await projects.reportStatus(nameOf(params), decodeOrThrow(reportDecoder, body, 'status report'), reporter);
        return reply.code(204).send();
      },
    }),
  ];
}

function createProjectFilter({ phase, nodeRef }: ProjectQuery): (project: ProjectObject) => boolean {
  const phases = new Set<string>(phase);
  return ({ status }) => (phase === undefined || phases.has(status.phase)) && (nodeRef === undefined || status.nodeRef === nodeRef);
}
