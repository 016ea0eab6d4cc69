/**
 * Agent check: a health check that the agent runs, as it stands on the container: pure.
 *
 * It is a label, so that each container is checked by the spec that it was made of: an old one beside its successor, and any after
 * a restart of the agent. It holds what the spec says; defaults are put in when it is read.
 */
import { durationToMs } from '../../api/duration.ts';
import type { HealthCheck, HttpGet, TcpSocket } from '../../api/project/health-check.ts';
import type { Labels } from '../docker/docker-types.ts';
import { LABEL } from '../docker/names.ts';
import type { CheckTiming } from './check-state.ts';

/** As the engine has it, so that all kinds of check behave alike. */
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0 };
const START_INTERVAL_MS = 1000;

export type ProbeTarget = { readonly httpGet: HttpGet } | { readonly tcpSocket: TcpSocket };

export interface AgentCheck {
  readonly target: ProbeTarget;
  readonly timeoutMs: number;
  readonly timing: CheckTiming;
}

/** Tells whether the agent is to run the check; the engine runs all others. */
export function isByAgent({ httpGet, tcpSocket }: HealthCheck): boolean {
  return httpGet !== undefined || tcpSocket !== undefined;
}

/** @returns undefined where the container carries no check for the agent, or none that can be read */
export function findAgentCheck(labels: Labels): AgentCheck | undefined {
  const text = labels[LABEL.healthCheck];
  if (text === undefined) {
    return undefined;
  }
  try {
    return toAgentCheck(JSON.parse(text) as HealthCheck);
  } catch {
    return undefined; // not by any agent of ours
  }
}

function toAgentCheck({ httpGet, tcpSocket, ...check }: HealthCheck): AgentCheck | undefined {
  const target = httpGet === undefined ? tcpSocket && { tcpSocket } : { httpGet };
  if (target === undefined) {
    return undefined;
  }
  const read = (text: string | undefined, fallback: number): number => (text === undefined ? fallback : durationToMs(text));
  const intervalMs = read(check.interval, DEFAULTS.intervalMs);
  return {
    target,
    timeoutMs: read(check.timeout, DEFAULTS.timeoutMs),
    timing: {
      intervalMs,
      startIntervalMs: read(check.startInterval, Math.min(START_INTERVAL_MS, intervalMs)),
      startPeriodMs: read(check.startPeriod, DEFAULTS.startPeriodMs),
      retries: check.retries ?? DEFAULTS.retries,
    },
  };
}
