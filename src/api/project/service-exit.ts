/** How the last run of a service's container ended, and what to say of it: pure, browser-safe. */
import Type, { type Static } from 'typebox';
import { formatDuration } from '../duration.ts';
import { Closed, OneOf, Timestamp } from '../meta.ts';

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

/** Completes "Service web ...": `exited with code 137 (SIGKILL), 3s after it started`. */
export function describeExit({ reason, exitCode, startedAt, finishedAt }: ServiceExit): string {
  const code = exitCode === undefined ? 'exited' : `exited with ${describeExitCode(exitCode)}`;
  const after = describeRun(startedAt, finishedAt);
  switch (reason) {
    case 'Exited':
      return `${code}${after}`;
    case 'OOMKilled':
      return `was killed as it ran out of memory${after}`;
    case 'Stopped':
      return `was stopped by someone on the node and ${code}${after}`;
    case 'Removed':
      return `lost its container, which someone on the node removed${after}`;
    case 'Unhealthy':
      return `was stopped as its health check failed${after}`;
    case 'EngineStopped':
      return 'stopped together with the container engine of the node';
    case 'Unseen':
      return 'ended while no agent watched, as where the machine or its container engine restarts';
    default:
      return reason satisfies never;
  }
}

function describeRun(startedAt: string | undefined, finishedAt: string): string {
  const ms = startedAt === undefined ? Number.NaN : Date.parse(finishedAt) - Date.parse(startedAt);
  return ms >= 0 ? `, ${ms < 1000 ? 'less than a second' : formatDuration(Math.round(ms / 1000) * 1000)} after it started` : '';
}

/** `code 137 (SIGKILL)` */
function describeExitCode(code: number): string {
  const signal = SIGNALS[code - 128];
  return `code ${code}${signal === undefined ? '' : ` (${signal})`}`;
}
