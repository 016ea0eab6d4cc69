/** Failures that caractrl itself finds. Those of the API are ApiErrors. */

export interface CtlErrorOptions {
  /** what to type or do to mend it; for a command, the whole of it */
  readonly hint?: string;
  /** further lines, printed as they are after the first */
  readonly details?: readonly string[];
  readonly cause?: unknown;
}

/** Refused or failed: exit code 1. The message is for the user, whole. */
export class CtlError extends Error {
  override readonly name: string = 'CtlError';
  readonly exitCode: 1 | 2 = 1;
  readonly hint: string | undefined;
  readonly details: readonly string[];

  constructor(message: string, options: CtlErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.details = options.details ?? [];
  }
}

/** The command was typed wrongly: exit code 2. */
export class UsageError extends CtlError {
  override readonly name = 'UsageError';
  override readonly exitCode = 2;
}
