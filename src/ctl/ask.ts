/** Asks a person on the terminal. Callers: commands/drain.ts, delete-volumes.ts. */
import { UsageError } from './ctl-error.ts';
import type { Io } from './io.ts';

/**
 * Tells whether the answer is yes; Enter alone is no.
 * @param options.instead what to type where nobody can be asked
 * @throws {UsageError} where there is no terminal, or nothing to read the answer from
 */
export async function confirm(
  io: Io,
  options: { readonly question: string; readonly instead: string },
  signal: AbortSignal,
): Promise<boolean> {
  return /^\s*y(?:es)?\s*$/iu.test(await ask(io, { ...options, question: `${options.question} (y/N)` }, signal));
}

/**
 * Tells whether the answer is one of `accepted`, to the letter.
 * @throws {UsageError} as `confirm`
 */
export async function confirmName(
  io: Io,
  options: { readonly question: string; readonly accepted: readonly string[]; readonly instead: string },
  signal: AbortSignal,
): Promise<boolean> {
  return options.accepted.includes((await ask(io, options, signal)).trim());
}

async function ask(
  io: Io,
  { question, instead }: { readonly question: string; readonly instead: string },
  signal: AbortSignal,
): Promise<string> {
  checkMayAsk(io, instead);
  io.stderr.write(`${question} `);
  const answer = new TextDecoder().decode(await io.readStdin(0, signal)); // a terminal gives a line at a time: the first ends it
  if (answer === '') {
    io.stderr.write('\n');
    throw cannotAsk(instead);
  }
  return answer;
}

/** @throws {UsageError} where there is no terminal to ask on */
export function checkMayAsk(io: Io, instead: string): void {
  if (!io.stderr.isTerminal) {
    throw cannotAsk(instead);
  }
}

function cannotAsk(instead: string): UsageError {
  return new UsageError('Cannot ask whether to go on as there is no terminal', { hint: instead });
}
