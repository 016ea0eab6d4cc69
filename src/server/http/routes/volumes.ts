/** Routes of Volumes: list, watch, read, the request to delete one, and what agents say. */
import Type, { type Static } from 'typebox';
import { createDecoder, decodeOrThrow } from '../../../api/decode.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { createReportDecoder } from '../../../api/report.ts';
import { isBeingDeleted } from '../../../api/volume-rules.ts';
import { DeletionGrant, DeletionUpdate, VolumeReport, VolumeSchema, type VolumeObject } from '../../../api/volume.ts';
import { checkNodeRef, checkScope, scopeFilter, type LabelsOf, type Seen } from '../../auth/scope.ts';
import type { Store } from '../../../store/store.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { defineRoute, type Route, type RouteInput } from '../route.ts';
import { sendCollection } from '../send-collection.ts';
import type { WatchDeps } from '../watch-response.ts';
import { LIST_QUERY } from './resource-routes.ts';

const { limit, watch, resourceVersion } = LIST_QUERY;
const VolumesQuery = Closed({
  limit,
  continue: LIST_QUERY.continue,
  watch,
  resourceVersion,
  nodeRef: Type.Optional(Type.String({ maxLength: 253, description: 'Only those on this node' })),
  project: Type.Optional(Type.String({ maxLength: 253, description: 'Only those of Projects of this name' })),
  deleting: Type.Optional(Type.Boolean({ description: 'Only those that are being deleted: what an agent watches' })),
});
type VolumesQuery = Static<typeof VolumesQuery>;

const VolumeListSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('VolumeList'),
  metadata: Closed({ resourceVersion: Type.String(), continue: Type.Optional(Type.String()) }),
  items: Type.Array(VolumeSchema),
});

export interface VolumeRoutesDeps extends WatchDeps {
  readonly store: Store;
  readonly volumes: VolumeService;
  readonly labelsOf: LabelsOf;
}

const reportDecoder = createReportDecoder(VolumeReport);
const updateDecoder = createDecoder(DeletionUpdate);
const ONE = '/api/v1/nodes/{node}/volumes/{name}';
const NONE = { description: 'There is none of that name' };

export function volumeRoutes(deps: VolumeRoutesDeps): readonly Route[] {
  const { volumes } = deps;
  const tag = 'volumes';
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/volumes',
      summary: "List the volumes of the cluster's nodes, also those of Projects that are gone, or watch them",
      tag,
      access: { verb: 'read', resource: 'volumes', nodes: 'own' },
      query: VolumesQuery,
      answers: {
        200: { description: 'The list, or with watch a stream of changes', schema: VolumeListSchema },
        410: { description: 'The resourceVersion is too old: list again' },
      },
      handle: (input) => listOrWatch(deps, input),
    }),
    defineRoute({
      method: 'GET',
      path: ONE,
      summary: 'Read a volume',
      tag,
      access: { verb: 'read', resource: 'volumes', nodes: 'self' },
      answers: { 200: { description: 'It', schema: VolumeSchema }, 404: NONE },
      handle: async ({ params, caller }) => {
        const volume = await volumes.get(nodeOf(params), volumeOf(params));
        checkScope(caller, 'read the volumes of', ownerOf(volume, deps.labelsOf));
        return volumes.present(volume);
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: ONE,
      summary: 'Ask for the deletion of a volume and all its data; its agent removes it, and then the record goes',
      tag,
      access: { verb: 'delete', resource: 'volumes' },
      answers: {
        202: { description: 'Asked for; status.deletion tells how it stands', schema: VolumeSchema },
        404: NONE,
        409: { description: 'A Project uses it, or its node is NotReady' },
      },
      handle: async ({ params, caller, reply }) => {
        const volume = await volumes.get(nodeOf(params), volumeOf(params));
        checkScope(caller, 'delete the volumes of', ownerOf(volume, deps.labelsOf));
        return reply.code(202).send(volumes.present(await volumes.requestDeletion(nodeOf(params), volumeOf(params))));
      },
    }),
    ...agentRoutes(deps),
  ];
}

function agentRoutes({ volumes }: VolumeRoutesDeps): readonly Route[] {
  return [
    defineRoute({
      method: 'PUT',
      path: '/api/v1/nodes/{node}/volumes',
      summary: 'An agent tells which volumes there are on its node; when that changes',
      tag: 'agents',
      access: { verb: 'report', resource: 'nodes', nodes: 'self' },
      bodies: { 'application/json': VolumeReport },
      answers: { 204: { description: 'Taken in' }, 410: { description: 'There is no such node' } },
      handle: async ({ params, body, reply }) => {
        await volumes.report(nodeOf(params), decodeOrThrow(reportDecoder, body, 'report of volumes'));
        return reply.code(204).send();
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${ONE}/deletion`,
      summary: 'An agent is about to delete a volume, or tells how that ended',
      tag: 'agents',
      access: { verb: 'report', resource: 'nodes', nodes: 'self' },
      bodies: { 'application/json': DeletionUpdate },
      answers: {
        200: { description: 'It may begin', schema: DeletionGrant },
        204: { description: 'Taken in' },
        404: NONE,
        409: { description: 'That request is over: leave the volume alone' },
      },
      handle: async ({ params, body, reply }) => {
        const update = decodeOrThrow(updateDecoder, body, 'word on a deletion');
        const grant = await volumes.updateDeletion(nodeOf(params), volumeOf(params), update);
        return grant ?? reply.code(204).send();
      },
    }),
  ];
}

async function listOrWatch(deps: VolumeRoutesDeps, input: RouteInput<VolumesQuery>): Promise<unknown> {
  const { query, caller } = input;
  checkNodeRef(query.nodeRef, caller, 'volumes');
  const isTheirs = scopeFilter(caller);
  const isSelected = (volume: VolumeObject): boolean =>
    (query.nodeRef === undefined || volume.status.node === query.nodeRef) &&
    (query.project === undefined || volume.status.project === query.project) &&
    (query.deleting === undefined || isBeingDeleted(volume) === query.deleting) &&
    isTheirs(ownerOf(volume, deps.labelsOf));
  const topic = query.nodeRef === undefined ? undefined : { field: 'status.node', value: query.nodeRef };
  const present = (volume: VolumeObject): VolumeObject => deps.volumes.present(volume);
  return await sendCollection<VolumeObject>(deps, { kind: 'Volume', isSelected, topic, present }, input);
}

/** Whose it is: the Project that it was made for, on the node where it is; whoever may see that may see it. */
function ownerOf({ status }: VolumeObject, labelsOf: LabelsOf): Seen {
  const labels = labelsOf('Project', status.project) ?? {};
  return { kind: 'Project', metadata: { name: status.project, labels }, status: { nodeRef: status.node } };
}

function nodeOf(params: Readonly<Record<string, string>>): string {
  return params['node'] ?? '';
}

function volumeOf(params: Readonly<Record<string, string>>): string {
  return params['name'] ?? '';
}
