/**
 * The one table of what can go wrong with a container engine: reason -> whether the same call may succeed later by itself.
 * Reasons stay on the agent; what users see of them are the reasons of Project conditions and events.
 */
export const ENGINE_REASONS = {
  EngineUnreachable: { retryable: true },
  EngineTooOld: { retryable: false },
  EngineFault: { retryable: true }, // 5xx without better words; the engine may have done it all the same
  Timeout: { retryable: true },
  NotFound: { retryable: false },
  Conflict: { retryable: true }, // in use, or being removed: look again
  NameConflict: { retryable: false },
  PortInUse: { retryable: true },
  TaskLeftOver: { retryable: true }, // of a container's last run, after a crash of the engine
  SubnetTaken: { retryable: false },
  NoSpace: { retryable: true },
  ImageNotFound: { retryable: false },
  PullDenied: { retryable: false },
  TooManyRequests: { retryable: true },
  PullFailed: { retryable: true },
  Invalid: { retryable: false }, // the engine refuses what it was asked for
} as const;

export type EngineReason = keyof typeof ENGINE_REASONS;

/** A failure of the container engine or of the way to it. `message` is a sentence for a person with the engine's own words in it. */
export class EngineError extends Error {
  readonly reason: EngineReason;
  /** How long not to try again, where that is known. */
  readonly retryAfterMs: number | undefined;

  constructor(reason: EngineReason, message: string, options?: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EngineError';
    this.reason = reason;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get isRetryable(): boolean {
    return ENGINE_REASONS[this.reason].retryable;
  }
}

/** Tells whether `error` is an EngineError with one of `reasons`. */
export function hasEngineReason(error: unknown, ...reasons: readonly EngineReason[]): error is EngineError {
  return error instanceof EngineError && reasons.includes(error.reason);
}
