/**
 * The one table of failures: reason -> HTTP status, title, and whether trying again can help.
 * Everything that goes wrong on purpose is an `ApiError` with one of these reasons; its wire form is
 * `application/problem+json` (RFC 9457) with `reason` and, for bad input, `errors[]` with a JSON pointer each.
 */
export const REASONS = {
  Invalid: { status: 400, title: 'Invalid request', retryable: false },
  Unauthorized: { status: 401, title: 'Credentials needed', retryable: false },
  Forbidden: { status: 403, title: 'Not allowed', retryable: false },
  NotAssigned: { status: 403, title: 'Not assigned', retryable: false }, // to a node: the Project is not, or no longer, bound to it
  ApprovalNeeded: { status: 403, title: 'Approval needed', retryable: true }, // a node that has joined and waits for a person's word
  NotFound: { status: 404, title: 'Not found', retryable: false },
  MethodNotAllowed: { status: 405, title: 'Method not allowed', retryable: false },
  NotAcceptable: { status: 406, title: 'Not acceptable', retryable: false },
  AlreadyExists: { status: 409, title: 'Already exists', retryable: false },
  Conflict: { status: 409, title: 'Conflict', retryable: true }, // resourceVersion moved: read again, then retry
  StaleAssignment: { status: 409, title: 'Stale assignment', retryable: false }, // the Project was given to another node, or gone
  Immovable: { status: 409, title: 'Cannot be moved', retryable: false }, // what a Project holds stays on its node, or no other node takes it
  NoRevision: { status: 409, title: 'No such revision', retryable: false }, // nothing that a Project could go back to
  InUse: { status: 409, title: 'In use', retryable: false }, // a Project needs it
  NodeNotReady: { status: 409, title: 'Node not ready', retryable: false }, // nobody there could do it now
  NameTaken: { status: 409, title: 'Name taken', retryable: false }, // another live identity holds the node's name
  DuplicateIdentity: { status: 409, title: 'Duplicate identity', retryable: false }, // another live machine holds it with the same identity
  Expired: { status: 410, title: 'Version too old', retryable: true }, // watch resumed from a compacted version: list again
  NodeDeleted: { status: 410, title: 'Node deleted', retryable: false }, // a running agent registers again only at its next start
  NotRunning: { status: 409, title: 'Not running', retryable: true }, // what was to be looked into has no container, or one that has ended
  NotListening: { status: 409, title: 'Nobody listens', retryable: true }, // on that port, in the container
  NoSuchProgram: { status: 409, title: 'No such program', retryable: false }, // in the container, of the name that was to be run
  NotExecutable: { status: 409, title: 'Cannot be executed', retryable: false }, // the engine could not start what was to be run
  PayloadTooLarge: { status: 413, title: 'Body too large', retryable: false },
  UnsupportedMediaType: { status: 415, title: 'Unsupported media type', retryable: false },
  UnsupportedEncoding: { status: 415, title: 'Unsupported content encoding', retryable: false },
  UpgradeRequired: { status: 426, title: 'Upgrade required', retryable: false },
  TooManyRequests: { status: 429, title: 'Too many requests', retryable: true },
  HeadersTooLarge: { status: 431, title: 'Headers too large', retryable: false },
  Internal: { status: 500, title: 'Internal error', retryable: false },
  NotImplemented: { status: 501, title: 'Not implemented', retryable: false },
  Unavailable: { status: 503, title: 'Unavailable', retryable: true },
  NodeUnreachable: { status: 503, title: 'Node unreachable', retryable: true }, // the server has no way to the node's agent
} as const;

export type Reason = keyof typeof REASONS;

/** One thing wrong with one field. `pointer` is an RFC 6901 JSON pointer into the document sent; "" is the whole of it. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** The wire form of a failure: the body of every answer of 4xx and 5xx. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: Reason;
  readonly errors?: readonly FieldError[];
}

export interface ApiErrorOptions {
  readonly errors?: readonly FieldError[];
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A failure with a reason from the table. `message` is a sentence for a person: what was tried, why it failed, current value. */
export class ApiError extends Error {
  readonly reason: Reason;
  readonly errors: readonly FieldError[];
  /** how long the other side asks to be left alone, in milliseconds (`Retry-After`); undefined when it asks for nothing */
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options?: ApiErrorOptions) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.reason = reason;
    this.errors = options?.errors ?? [];
    this.retryAfterMs = options?.retryAfterMs;
  }

  get status(): number {
    return REASONS[this.reason].status;
  }

  get isRetryable(): boolean {
    return REASONS[this.reason].retryable;
  }
}

/** Tells whether `error` is an ApiError with one of `reasons`. */
export function hasReason(error: unknown, ...reasons: readonly Reason[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason);
}

export function toProblem(error: ApiError): Problem {
  return {
    type: `urn:caravanserai:problem:${error.reason}`,
    title: REASONS[error.reason].title,
    status: error.status,
    detail: error.message,
    reason: error.reason,
    ...(error.errors.length > 0 && { errors: error.errors }),
  };
}

/** Makes an ApiError of an answer's body; anything that is no problem document becomes one from `status` alone. */
export function fromProblem(status: number, body: unknown, options: Pick<ApiErrorOptions, 'retryAfterMs'> = {}): ApiError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Partial<Problem>;
  const reason = isReason(problem.reason) ? problem.reason : reasonOfStatus(status);
  return new ApiError(reason, problem.detail ?? `${REASONS[reason].title} (HTTP ${status})`, { ...options, errors: problem.errors ?? [] });
}

function isReason(value: unknown): value is Reason {
  return typeof value === 'string' && Object.hasOwn(REASONS, value);
}

function reasonOfStatus(status: number): Reason {
  const found = (Object.keys(REASONS) as Reason[]).find((reason) => REASONS[reason].status === status);
  return found ?? (status >= 500 ? 'Unavailable' : 'Invalid');
}
