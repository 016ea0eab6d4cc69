/** How the last run of a service's container ended, and what to say of it: pure, browser-safe. */
import Type, { type Static } from 'typebox';
import { Closed, OneOf, Timestamp } from './meta.ts';

/**
 * `Exited`: by itself. `Stopped`, `Removed`: by someone on the node. `Unhealthy`: stopped by the agent, as its health check failed.
 * `EngineStopped`: with the engine or the machine. `Unseen`: while no agent watched.
 */
export const EXIT_REASONS = ['Exited', 'OOMKilled', 'Stopped', 'Removed', 'Unhealthy', 'EngineStopped', 'Unseen'] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

export const ServiceExit = Closed({
  reason: OneOf(EXIT_REASONS),
  exitCode: Type.Optional(Type.Integer()),
  /** of the run that ended */
  startedAt: Type.Optional(Timestamp),
  finishedAt: Timestamp,
});
export type ServiceExit = Readonly<Static<typeof ServiceExit>>;

/** Linux' numbers, which a shell adds to 128 where it gives the end of a program as a code. */
const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
};

/** `code 137 (SIGKILL)` */
export function describeExitCode(code: number): string {
  const signal = SIGNALS[code - 128];
  return `code ${code}${signal === undefined ? '' : ` (${signal})`}`;
}
