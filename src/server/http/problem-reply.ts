/**
 * Problem replies: every failure of a request as `application/problem+json`, whoever noticed it.
 *
 * Never    shows what our own faults look like inside: these are logged with the request's id, and the answer names that id.
 * Callers  app.ts (error handler, unknown routes, raw connections), watch-response.ts.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, fromProblem, hasReason, toProblem, type Problem, type Reason } from '../../api/errors.ts';
import type { Logger } from '../../base/log.ts';
import { listAllowedMethods, type Route } from './route.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Fastify's own failures that deserve other words than its own. */
const FASTIFY_FAILURES: Readonly<Record<string, readonly [Reason, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['PayloadTooLarge', 'Cannot read the body as it is larger than 1 MiB'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['Invalid', 'Cannot read the body as its size is not the Content-Length'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UnsupportedMediaType', 'Cannot read the body as its Content-Type is none that this path takes'],
  FST_ERR_BAD_URL: ['Invalid', 'Cannot read the URL as its percent-encoding is broken'],
  FST_ERR_MAX_PARAM_LENGTH: ['NotFound', 'Cannot find the path as a part of it is longer than any name'],
};

/**
 * Answers with what `error` means to the one who asked; faults of our own are logged. That something is Unavailable is told by whoever
 * noticed it, once: a full disk refuses each of a thousand writes.
 */
export function replyWithProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const { problem, headers } = tellProblem(error, request, log);
  reply.headers(headers);
  return sendProblem(reply, problem);
}

/** Answers as `replyWithProblem` does, where Fastify has not seen the request. @param headers what every answer has */
export function sendRawProblem(
  error: unknown,
  request: Asked,
  {
    response,
    headers,
    log,
  }: { readonly response: ServerResponse; readonly headers: Readonly<Record<string, string>>; readonly log: Logger },
): void {
  const told = tellProblem(error, request, log);
  const body = JSON.stringify(told.problem);
  const length = String(Buffer.byteLength(body));
  const all = { ...headers, ...told.headers, 'content-type': `${PROBLEM_TYPE}; charset=utf-8`, 'content-length': length };
  response.writeHead(told.problem.status, all).end(body);
}

type Asked = Pick<FastifyRequest, 'id' | 'method' | 'url'>;

/** Logs what is our fault. */
function tellProblem(error: unknown, request: Asked, log: Logger): { readonly problem: Problem; readonly headers: Record<string, string> } {
  const failure = toApiError(error, request.id);
  if (failure.status >= 500) {
    const fields = { requestId: request.id, method: request.method, url: request.url.slice(0, 200) };
    if (failure.reason === 'Unavailable') {
      log.debug({ ...fields, detail: failure.message }, 'request refused for now');
    } else {
      log.error({ ...fields, err: error }, 'request failed');
    }
  }
  const headers = {
    ...(failure.retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(failure.retryAfterMs / 1000)) }),
    // which codings would do, and only where the coding is what was wrong: RFC 9110 sections 12.5.3 and 15.5.16
    ...(failure.reason === 'UnsupportedEncoding' && { 'accept-encoding': 'identity' }),
    ...(failure.status === 401 && { 'www-authenticate': 'Bearer realm="caravanserai"' }), // RFC 9110 section 11.6.1
  };
  return { problem: toProblem(failure), headers };
}

/** What `error` means to the one who asked. @param requestId named where the cause is for the log alone */
export function toApiError(error: unknown, requestId: string): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  const { code, statusCode, message } = (error instanceof Error ? error : {}) as { code?: string; statusCode?: number; message?: string };
  const known = FASTIFY_FAILURES[code ?? ''];
  if (known !== undefined) {
    return new ApiError(...known, { cause: error });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return fromProblem(statusCode, { detail: message });
  }
  return new ApiError('Internal', `Cannot answer because of a fault in the server: its log has the cause under request ${requestId}`, {
    cause: error,
  });
}

/** Answers a request that no route takes: 405 where the path exists for other methods, else 404. */
export function replyWithNoRoute(routes: readonly Route[], request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { method } = request;
  const path = (request.url.split('?', 1)[0] ?? '').slice(0, 200);
  const allowed = listAllowedMethods(routes, request.url);
  if (allowed.length === 0) {
    return sendProblem(
      reply,
      toProblem(new ApiError('NotFound', `Cannot ${method} ${path} as there is no such path: /openapi.json lists what there is`)),
    );
  }
  reply.header('allow', allowed.join(', '));
  return sendProblem(
    reply,
    toProblem(new ApiError('MethodNotAllowed', `Cannot ${method} ${path} as it takes ${allowed.join(', ')} alone`)),
  );
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  // a string: Fastify would look for a serializer for an object
  return reply.code(problem.status).header('content-type', PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** Answers 503 where there is no app yet. */
export function sendUnavailable(response: ServerResponse, message: string): void {
  const problem = toProblem(new ApiError('Unavailable', message));
  response.writeHead(problem.status, { 'content-type': PROBLEM_TYPE, 'retry-after': '1' }).end(JSON.stringify(problem));
}

/** Answers what is no HTTP request, on the bare connection, and closes it. */
export function replyToBrokenRequest(error: Error & { readonly code?: string }, socket: Duplex): void {
  // what fails before TLS is agreed on, or breaks a connection, has nobody to read an answer: it would wait for ever to be sent
  if (!/^(?:HPE_|ERR_HTTP_)/u.test(error.code ?? '') || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(describeBrokenRequest(error.code));
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function describeBrokenRequest(code: string | undefined): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError('HeadersTooLarge', 'Cannot read the request as its headers are larger than 16 KiB');
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError('Invalid', 'Cannot read the request as it did not arrive in time');
  }
  return new ApiError('Invalid', 'Cannot read the request as it is no HTTP/1.1 (is https meant?)');
}

/** Tells whether a failure is one that the client brought about. */
export function isClientFault(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500 && !hasReason(error, 'Internal');
}
