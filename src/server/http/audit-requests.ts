/** Writes down what is asked of the server, once it is answered. Callers: app.ts. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Verb } from '../../api/access.ts';
import { describeAnswered } from '../audit/audit-entry.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { addressOf } from './remote-address.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** what the handler says for the audit: the object that it made, or that values were shown */
    audit?: { readonly object?: string; readonly verb?: Verb } | undefined;
  }
}

/** @param refusal why, where the answer is a refusal */
export function auditRequest(
  log: Pick<AuditLog, 'record'>,
  request: FastifyRequest,
  { status, refusal, result }: { readonly status: number; readonly refusal?: string; readonly result?: string },
): void {
  const { caller, method, params, body, id: requestId, routeOptions, audit: note } = request;
  const path = (request.url.split('?', 1)[0] ?? '').slice(0, 300);
  const told = describeAnswered({
    caller,
    access: routeOptions.config.access,
    method,
    path,
    route: routeOptions.url ?? '',
    params: (params ?? {}) as Readonly<Record<string, string>>,
    body,
    status,
    note,
  });
  if (told !== undefined) {
    const from = addressOf(request);
    const detail = refusal ?? result;
    log.record({
      ...told,
      ...(from !== undefined && { from }),
      request: `${method} ${path}`,
      status,
      ...(detail !== undefined && { detail: detail.slice(0, 500) }),
      requestId,
    });
  }
}

/** What an apply came to, as its answer has it. */
export function resultOf(reply: FastifyReply): { readonly result?: string } {
  const result = reply.getHeader('cara-result');
  return typeof result === 'string' ? { result } : {};
}
