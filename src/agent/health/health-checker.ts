/**
 * Health checker: runs the checks that the agent has to run, of all Projects, a bounded number at a time.
 *
 * Owns     per run of a container: how its checks went and when the next is due. All of it may be lost: after a restart of the agent a
 *          container that was healthy counts as healthy until its checks say otherwise.
 * Never    acts on a container; keeps anything of one that is no longer looked at; counts against a container that the agent did not
 *          run, or cannot reach it.
 * Callers  project-loop.ts hands in what it observed and gets it back with the findings; reconciler.ts runs the loop.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { ContainerDetail, ContainerHealth, HealthProbe } from '../docker/docker-types.ts';
import { LABEL } from '../docker/names.ts';
import { findAgentCheck, type AgentCheck } from './agent-check.ts';
import { beginCheck, recordResult, type CheckState } from './check-state.ts';
import { runProbe, type ProbeResult } from './probe.ts';
import { describeReach, hasInterfaceNear } from './reach.ts';

const MAX_IN_FLIGHT = 16; // hundreds of services that hang must not hold hundreds of sockets
const KEPT_PROBES = 5; // as the engine keeps

export interface HealthChecker {
  /**
   * Takes in the containers of a Project as just observed, and begins and ends checks accordingly.
   * @param wasHealthy asked at the first look at a Project: whether a container was healthy when it was last reported
   * @returns the containers; those that the agent checks with its findings as `state.health`
   */
  look<Container extends ContainerDetail>(
    project: string,
    containers: readonly Container[],
    wasHealthy: (container: Container) => boolean,
  ): readonly Container[];
  /** The Project is no longer looked at. */
  drop(project: string): void;
  /** How many runs of containers are checked. */
  readonly size: number;
  run(signal: AbortSignal): Promise<void>;
}

export interface HealthCheckerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when what is true of a container of the Project changed; must return at once. */
  readonly onChange: (project: string) => void;
  /** Default: by HTTP and TCP. */
  readonly probe?: typeof runProbe;
  /** Default: whether an interface of this machine is in the network of the address. */
  readonly isNear?: (address: string) => boolean;
}

interface Entry {
  readonly project: string;
  readonly service: string;
  readonly containerId: string;
  readonly startedAt: string;
  readonly check: AgentCheck;
  readonly controller: AbortController;
  address: string;
  state: CheckState;
  log: readonly HealthProbe[];
  problem: string | undefined;
  isInFlight: boolean;
}

export function createHealthChecker(options: HealthCheckerOptions): HealthChecker {
  const { clock, probe = runProbe, isNear = hasInterfaceNear } = options;
  const log = options.log.child({ component: 'health-checker' });
  /** project -> container id -> its present run */
  const entries = new Map<string, Map<string, Entry>>();
  /** projects that were looked at before: what starts in them from now on starts while we watch */
  const known = new Set<string>();
  const inFlight = new Set<Promise<void>>();
  const wakeup = new Wakeup();
  let crash: { readonly error: unknown } | undefined;

  function begin(project: string, container: ContainerDetail, { check, wasHealthy }: { check: AgentCheck; wasHealthy: boolean }): Entry {
    const { startedAt = '' } = container.state;
    const nowMs = clock.monotonicMs();
    // the wall clock may jump, so it is only asked about what was started before the agent was
    const ageMs = known.has(project) ? 0 : Math.max(0, clock.wallMs() - Date.parse(startedAt)) || 0;
    return {
      project,
      service: container.labels[LABEL.service] ?? '',
      containerId: container.id,
      startedAt,
      check,
      controller: new AbortController(),
      address: '',
      state: beginCheck(check.timing, { startedAtMs: nowMs - ageMs, nowMs, wasHealthy }),
      log: [],
      problem: undefined,
      isInFlight: false,
    };
  }

  async function check(entry: Entry): Promise<void> {
    const { controller, address } = entry;
    const startedAt = new Date(clock.wallMs()).toISOString();
    entry.isInFlight = true;
    try {
      const { target, timeoutMs } = entry.check;
      const result = address === '' ? NO_ADDRESS : await probe({ target, address, timeoutMs, clock }, controller.signal);
      settle(entry, result, startedAt);
    } catch (error) {
      if (!controller.signal.aborted) {
        throw error;
      }
    } finally {
      entry.isInFlight = false;
    }
  }

  function settle(entry: Entry, result: ProbeResult, startedAt: string): void {
    const { hasPassed, output, isSilent = false } = result;
    const { state: before, problem: problemBefore } = entry;
    const lastBefore = entry.log.at(-1)?.output;
    const isOutOfReach = !hasPassed && isSilent && !isNear(entry.address);
    entry.problem = isOutOfReach ? describeReach(entry.address) : undefined;
    entry.state = recordResult(before, entry.check.timing, {
      result: hasPassed ? 'passed' : isOutOfReach ? 'unknown' : 'failed',
      nowMs: clock.monotonicMs(),
    });
    const finishedAt = new Date(clock.wallMs()).toISOString();
    entry.log = [...entry.log, { startedAt, finishedAt, exitCode: hasPassed ? 0 : 1, output }].slice(-KEPT_PROBES);
    const { project, service, containerId } = entry;
    if (before.status !== entry.state.status) {
      const fields = { project, service, containerId: containerId.slice(0, 12), from: before.status, to: entry.state.status, output };
      log[entry.state.status === 'unhealthy' ? 'warn' : 'info'](fields, 'health changed');
    }
    if (before.status !== entry.state.status || problemBefore !== entry.problem || (!hasPassed && lastBefore !== output)) {
      options.onChange(project);
    }
  }

  function track(checking: Promise<void>): void {
    const tracked = checking.then(undefined, (error: unknown) => {
      crash ??= { error };
    });
    inFlight.add(tracked);
    void tracked.then(() => {
      inFlight.delete(tracked);
      wakeup.notify();
    });
  }

  /** @returns ms until the next check is due */
  function startDue(): number {
    const nowMs = clock.monotonicMs();
    const waiting = [...entries.values()].flatMap((runs) => [...runs.values()].filter(({ isInFlight }) => !isInFlight));
    waiting.sort((left, right) => left.state.nextAtMs - right.state.nextAtMs);
    for (const entry of waiting) {
      if (entry.state.nextAtMs > nowMs) {
        return entry.state.nextAtMs - nowMs;
      }
      if (inFlight.size >= MAX_IN_FLIGHT) {
        break; // the end of one wakes the loop
      }
      track(check(entry));
    }
    return Infinity;
  }

  function drop(project: string): void {
    entries.get(project)?.forEach(({ controller }) => controller.abort());
    entries.delete(project);
    known.delete(project);
  }

  return {
    look: (project, containers, wasHealthy) => {
      const before = entries.get(project) ?? new Map<string, Entry>();
      const runs = new Map<string, Entry>();
      const found = containers.map((container) => {
        const agentCheck = container.state.status === 'running' ? findAgentCheck(container.labels) : undefined;
        if (agentCheck === undefined) {
          return container;
        }
        const last = before.get(container.id);
        const isSameRun = last?.startedAt === container.state.startedAt;
        const entry =
          isSameRun && last !== undefined
            ? last
            : begin(project, container, { check: agentCheck, wasHealthy: !known.has(project) && wasHealthy(container) });
        entry.address = addressOf(container);
        runs.set(container.id, entry);
        return { ...container, state: { ...container.state, health: toHealth(entry) } };
      });
      [...before.values()].filter((entry) => runs.get(entry.containerId) !== entry).forEach(({ controller }) => controller.abort());
      known.add(project);
      if (runs.size > 0) {
        entries.set(project, runs);
        wakeup.notify();
      } else {
        entries.delete(project);
      }
      return found;
    },
    drop,
    get size() {
      return [...entries.values()].reduce((sum, runs) => sum + runs.size, 0);
    },
    run: async (signal) => {
      try {
        for (;;) {
          await wakeup.wait(clock, startDue(), signal);
          if (crash !== undefined) {
            throw crash.error;
          }
        }
      } finally {
        [...entries.keys()].forEach(drop);
        await Promise.all(inFlight);
      }
    },
  };
}

function toHealth({ state, log, problem }: Entry): ContainerHealth {
  return { status: state.status, failingStreak: state.failures, log, isByAgent: true, ...(problem !== undefined && { problem }) };
}

/** Its address on the Project's network, which is the only one that it joins. */
function addressOf({ networks }: ContainerDetail): string {
  return Object.values(networks).find(({ ipAddress }) => ipAddress !== '')?.ipAddress ?? '';
}

const NO_ADDRESS: ProbeResult = { hasPassed: false, output: 'The container has no address', isSilent: true };
