/** The route of the audit. */
import { AuditList, AuditQuery } from '../../../api/audit.ts';
import type { AuditLog } from '../../audit/audit-log.ts';
import { defineRoute, type Route } from '../route.ts';

export function auditRoutes({ audit }: { readonly audit: Pick<AuditLog, 'list'> }): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/audit',
      summary: 'Who did what to which object, from where, and what came of it; of this server, the newest coming last',
      tag: 'auth',
      access: { verb: 'read', resource: 'audit' },
      query: AuditQuery,
      answers: { 200: { description: 'The entries', schema: AuditList } },
      handle: async ({ query }) => ({ kind: 'AuditList', items: await audit.list(query) }),
    }),
  ];
}
