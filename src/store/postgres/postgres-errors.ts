/** PostgreSQL's failures, as sentences for people, and what a failure of a statement says about whether it was done. */
import { ApiError } from '../../api/errors.ts';

/** ms; asked of callers while the database does not answer: a restart takes a second or two, and so does a fail-over at best. */
export const RETRY_AFTER_MS = 1000;

/** SQLSTATE -> what it means and what mends it; completes "Cannot ... as". https://www.postgresql.org/docs/15/errcodes-appendix.html */
const CAUSES: Readonly<Record<string, string>> = {
  '25006': 'it takes no writes now, being a standby or read-only',
  '28000': 'it does not let this user in, check the user in DATABASE_URL and pg_hba.conf',
  '28P01': 'the password is wrong, check the one in DATABASE_URL',
  '3D000': 'there is no such database, make it with createdb',
  '42501': 'the user lacks a privilege, make it the owner of the database',
  '53100': 'its disk is full, free some space on it',
  '53200': 'it is out of memory',
  '53300': 'it has no connection left, raise its max_connections',
  '55P03': 'somebody else holds a lock for too long',
  '57014': 'it took too long',
  '57P01': 'it is shutting down',
  '57P02': 'it has crashed and recovers',
  '57P03': 'it is starting up or shutting down',
};

/** What only a person can mend. */
const LASTING: ReadonlySet<string> = new Set(['28000', '28P01', '3D000', '42501']);

/** code of a socket's error -> words */
const SOCKET_CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  EPIPE: 'the connection was cut (EPIPE)',
  ENOENT: 'there is no such socket (ENOENT)',
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
  EAI_AGAIN: 'the host name cannot be looked up now (EAI_AGAIN)',
  EHOSTUNREACH: 'there is no route to the host (EHOSTUNREACH)',
  ENETUNREACH: 'there is no route to the network (ENETUNREACH)',
  ETIMEDOUT: 'the connection timed out (ETIMEDOUT)',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'nobody known has signed its certificate: name the authority with sslrootcert',
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody known has signed its certificate: name the authority with sslrootcert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'nobody known has signed its certificate: name the authority with sslrootcert',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
};

/** What pg itself says, which has no code. */
const PG_CAUSES: Readonly<Record<string, string>> = {
  'timeout expired': 'it did not answer in time',
  'Query read timeout': 'it did not answer in time',
  'Connection terminated unexpectedly': 'the connection was cut',
  'Connection terminated due to connection timeout': 'it did not answer in time',
};

/**
 * @param action such as `write to database cara@db:5432/cara`
 * @returns an ApiError: Invalid for what no retry mends, else Unavailable
 */
export function explainPostgres(action: string, error: unknown): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  const code = codeOf(error);
  const text = error instanceof Error ? (error.message === '' ? error.name : error.message) : String(error);
  const words = CAUSES[code ?? ''];
  const why = SOCKET_CAUSES[code ?? ''] ?? PG_CAUSES[text] ?? (words === undefined ? text : `${words}: ${text}`);
  const reason = LASTING.has(code ?? '') ? 'Invalid' : 'Unavailable';
  return new ApiError(reason, `Cannot ${action} as ${why}`, {
    cause: error,
    ...(reason === 'Unavailable' && { retryAfterMs: RETRY_AFTER_MS }),
  });
}

/** As above for a store that is open: whatever is wrong now may be mended while it runs. */
export function unavailable(action: string, error: unknown): ApiError {
  const failure = explainPostgres(action, error);
  return failure.reason === 'Unavailable'
    ? failure
    : new ApiError('Unavailable', failure.message, { cause: failure, retryAfterMs: RETRY_AFTER_MS });
}

/** Tells whether the database itself said no and went on: then nothing of the statement is done. Anything else leaves that open. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR';
}

/** Tells whether the database is there and only takes no writes, as after a fail-over that made it a standby. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === '25006';
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) {
    return codeOf(error.errors[0]); // of the addresses of one host name
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
