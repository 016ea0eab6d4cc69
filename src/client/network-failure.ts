/** What connections fail of, as ApiErrors that a person can act on. Network errors are classified here alone. Callers: transport.ts, web-socket-link.ts. */
import { ApiError } from '../api/errors.ts';

/** Makes an ApiError of whatever `fetch` threw; the caller's own abort stays what it is. */
export function toFailure(
  error: unknown,
  context: { readonly serverUrl: string; readonly timeoutMs: number; readonly signal: AbortSignal },
): unknown {
  if (error instanceof ApiError) {
    return error;
  }
  if (context.signal.aborted) {
    return context.signal.reason; // whatever came at the same moment, such as the time limit when a suspended machine wakes
  }
  const { cause, code } = rootOf(error);
  const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
  const why = isTimeout ? `it did not answer within ${context.timeoutMs / 1000} s` : (WORDS_BY_CODE[code ?? ''] ?? messageOf(cause));
  return new ApiError('Unavailable', `Cannot reach the server at ${context.serverUrl} as ${why}`, { cause: error });
}

/** `fetch` wraps what the socket says. */
function rootOf(error: unknown): { readonly cause: unknown; readonly code: string | undefined } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { cause, code: typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : undefined };
}

/** Codes of connections that never came about. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Tells whether the server cannot have taken the request in. */
export function isNeverSent(failure: unknown): boolean {
  return failure instanceof ApiError && NEVER_SENT.has(rootOf(failure.cause).code ?? '');
}

/** Tells whether something does listen there and only the scheme of the URL is wrong; the message says so. */
export function isSchemeMistake(failure: ApiError): boolean {
  return WORDS_BY_CODE[rootOf(failure.cause).code ?? ''] === NO_TLS;
}

const NO_TLS = 'it does not speak TLS: is http:// meant?';
const WORDS_BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
  EAI_AGAIN: 'the host name cannot be looked up now (EAI_AGAIN)',
  EHOSTUNREACH: 'there is no route to the host (EHOSTUNREACH)',
  ENETUNREACH: 'there is no route to the network (ENETUNREACH)',
  ETIMEDOUT: 'the connection timed out (ETIMEDOUT)',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  UND_ERR_SOCKET: 'the connection was cut',
  EPROTO: NO_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
