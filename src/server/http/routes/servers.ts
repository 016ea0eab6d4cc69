/** The route of Servers. */
import Type from 'typebox';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { ServerSchema, type ServerObject } from '../../../api/server.ts';
import { defineRoute, type Route } from '../route.ts';

const ServerListSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('ServerList'),
  metadata: Closed({ resourceVersion: Type.String() }),
  items: Type.Array(ServerSchema),
});

export interface ServerRoutesDeps {
  readonly listServers: () => Promise<readonly ServerObject[]>;
}

export function serverRoutes({ listServers }: ServerRoutesDeps): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/servers',
      access: { verb: 'read', resource: 'nodes' },
      summary: 'List the servers of the control plane, and which of them leads',
      tag: 'server',
      answers: { 200: { description: 'The servers, by name', schema: ServerListSchema } },
      handle: async () => ({ apiVersion: API_VERSION, kind: 'ServerList', metadata: { resourceVersion: '0' }, items: await listServers() }),
    }),
  ];
}
