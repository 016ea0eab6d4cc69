/**
 * Fencing: when an agent must have stopped a Project that the server may give to another node; pure. Server and agent share it, so
 * that they agree on one inequality (docs/adr/0006):
 *
 *   server   gives the Project up at g + T + A at the earliest, by its clock: g is when it took in the last heartbeat that it answered
 *            with a grant, T the heartbeat timeout that the grant names, A the `after` of `onNodeLost`.
 *   agent    has killed everything by s + T + A - margin, by its own: s is when it sent that heartbeat, so s <= g.
 *
 * The margin covers two clocks whose rates differ, and what a kill takes. Before the kill there is time for an orderly stop.
 * Callers  project-fence-rules.ts (is there time for the stop?); the agent's self-fence.ts and fence guard.
 */
import { durationToMs } from '../duration.ts';
import { deriveLossPolicy } from './loss-policy.ts';
import type { ProjectSpec, Service } from '../project.ts';

/** What the server has granted last. Times are of the agent's clock since boot, which goes on while the machine is suspended. */
export interface FenceGrant {
  /** when the heartbeat was sent */
  readonly sentAtMs: number;
  /** the server's heartbeat timeout */
  readonly timeoutMs: number;
}

export interface FenceTerms {
  readonly afterMs: number;
  /** how long an orderly stop of all services may take */
  readonly graceMs: number;
}

export interface FenceTimes {
  /** the orderly stop begins */
  readonly stopAtMs: number;
  /** what still runs is killed */
  readonly killAtMs: number;
}

// Twice 0.5 %: NTP slews by 0.05 % at most, quartz is off by less than 0.02 %. At least two seconds, for whatever else takes a moment.
const DRIFT = 0.01;
const LEAST_MARGIN_MS = 2000;
/** The guard notices within 0.25 s, gives the engine 1 s, and then kills the processes itself. */
const KILL_MS = 3000;
/** The agent notices within 1 s, and each look at the engine takes a moment. */
const STOP_SLACK_MS = 2000;

const DEFAULT_GRACE_MS = 10_000; // Docker's own

/** The terms on which the Project runs; undefined: it is not fenced. */
export function deriveFenceTerms(spec: ProjectSpec): FenceTerms | undefined {
  const { action, afterMs, fence } = deriveLossPolicy(spec);
  return fence && action === 'Reschedule' ? { afterMs, graceMs: deriveGraceMs(spec.services) } : undefined;
}

export function deriveFenceTimes({ sentAtMs, timeoutMs }: FenceGrant, { afterMs, graceMs }: FenceTerms): FenceTimes {
  const spanMs = timeoutMs + afterMs;
  const killAtMs = sentAtMs + spanMs - Math.max(LEAST_MARGIN_MS, spanMs * DRIFT) - KILL_MS;
  return { stopAtMs: killAtMs - graceMs - STOP_SLACK_MS, killAtMs };
}

/**
 * The shortest `after` that leaves time for an orderly stop, so that it begins no sooner than a node would be called NotReady
 * (but for the drift's share of the heartbeat timeout, which is not known where manifests are checked).
 */
export function leastAfterMs(graceMs: number): number {
  const stopMs = graceMs + STOP_SLACK_MS + KILL_MS;
  return Math.ceil(Math.max(stopMs + LEAST_MARGIN_MS, stopMs / (1 - DRIFT)) / 1000) * 1000;
}

/** How long an orderly stop takes at most: a service stops when none that depends on it is left, so graces add up along dependencies. */
export function deriveGraceMs(services: readonly Service[]): number {
  const longest = new Map<string, number>(); // service -> ms until it and all that stop after it have stopped
  const visit = ({ name, stopGracePeriod, dependsOn = [] }: Service, path: readonly string[]): number => {
    const known = longest.get(name);
    if (known !== undefined || path.includes(name)) {
      return known ?? 0; // a circle is refused elsewhere
    }
    const graceMs = stopGracePeriod === undefined ? DEFAULT_GRACE_MS : durationToMs(stopGracePeriod);
    const after = services.filter((other) => dependsOn.some(({ service }) => service === other.name));
    const wholeMs = Math.ceil(graceMs / 1000) * 1000; // as engines count
    const totalMs = wholeMs + Math.max(0, ...after.map((other) => visit(other, [...path, name])));
    longest.set(name, totalMs);
    return totalMs;
  };
  return Math.max(0, ...services.map((service) => visit(service, [])));
}
