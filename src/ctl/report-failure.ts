/** Says what went wrong, on stderr, once: `error: ...`, then `hint: ...` with what mends it. */
import { ApiError, toProblem } from '../api/errors.ts';
import { isSchemeMistake } from '../client/network-failure.ts';
import { isDistrust } from '../client/distrust.ts';
import type { OutputFormat } from './command.ts';
import { CtlError } from './ctl-error.ts';
import type { Environment, Screen } from './io.ts';
import { paint } from './output/paint.ts';
import { toPrintable } from './output/printable.ts';

export interface FailureContext {
  readonly stderr: Screen;
  readonly output: OutputFormat | undefined;
  readonly env: Environment;
}

/** @returns the exit code: 2 for wrong usage, else 1 */
export function reportFailure(error: unknown, { stderr, output, env }: FailureContext): 1 | 2 {
  if (error instanceof ApiError && output === 'json') {
    stderr.write(`${JSON.stringify(toProblem(error))}\n`);
    return 1;
  }
  const { message, hint, details } = describeFailure(error);
  stderr.write(`${paint(stderr, 'bad', 'error:')} ${toPrintable(message)}\n`);
  for (const detail of details) {
    stderr.write(`${toPrintable(detail)}\n`);
  }
  if (hint !== undefined) {
    stderr.write(`${paint(stderr, 'dim', 'hint:')} ${toPrintable(hint)}\n`);
  }
  if (env['CARA_DEBUG'] !== undefined && env['CARA_DEBUG'] !== '' && error instanceof Error) {
    stderr.write(`${describeTrace(error)}\n`);
  }
  return error instanceof CtlError ? error.exitCode : 1;
}

interface Failure {
  readonly message: string;
  readonly hint: string | undefined;
  readonly details: readonly string[];
}

function describeFailure(error: unknown): Failure {
  if (error instanceof CtlError) {
    return error;
  }
  if (error instanceof ApiError) {
    const details = error.errors.length > 1 ? error.errors.map(({ pointer, detail }) => `  ${pointer} ${detail}`) : [];
    return { message: error.message, hint: hintOf(error), details };
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { message: `caractrl hit a bug: ${what}`, hint: 'set CARA_DEBUG=1 and run it again to get the trace for a report', details: [] };
}

/** What mends it, where that is the same whatever was asked for. */
export function hintOf(error: ApiError): string | undefined {
  // only what never reached a server has a cause of its own; a server that answered 503 says itself what is wrong
  if (error.reason === 'Unavailable' && error.cause !== undefined && !isSchemeMistake(error) && !isDistrust(error)) {
    return 'start cara-server there, or name another with --server URL or CARA_SERVER=URL';
  }
  if (error.reason === 'Forbidden') {
    return 'an admin makes tokens that may do more with: caractrl token create --role ROLE --user NAME --allow RIGHT';
  }
  return error.reason === 'Unauthorized'
    ? 'log in with: caractrl login SERVER (or give the token in CARA_TOKEN); caractrl auth whoami shows who you are'
    : undefined;
}

function describeTrace(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describeTrace(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
