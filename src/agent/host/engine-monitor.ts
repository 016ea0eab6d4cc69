/**
 * Engine monitor: whether the container engine answers, asked every five seconds in a loop of its own, so that an engine that
 * hangs delays nothing but the next question.
 *
 * Owns     the latest answer and what the engine said about itself.
 * Never    acts on the engine.
 * Callers  each heartbeat and http/health.ts read `state`; composition.ts runs the loop.
 */
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { EngineInfo } from '../docker/docker-types.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import type { ReportedCondition } from './pressure.ts';

const PERIOD_MS = 5000;
const TIME_LIMIT_MS = 5000; // a healthy engine answers a ping in a millisecond, one under heavy load in a second or two
const SECOND_LOOK_MS = 1000; // after one failure: an engine that restarts in between is no outage
const FAILURES_TO_REPORT = 2;
const INFO_MAX_AGE_MS = 600_000;

export interface EngineState {
  /** false until it has answered once, and after two failures in a row */
  readonly isAvailable: boolean;
  readonly reason: string;
  /** a sentence that a person can act on */
  readonly message: string;
  /** as of its last answer */
  readonly info?: EngineInfo;
}

export interface EngineMonitor {
  state(): EngineState;
  run(signal: AbortSignal): Promise<void>;
}

export interface EngineMonitorOptions {
  readonly engine: Pick<Engine, 'ping' | 'info'>;
  /** as configured, for messages */
  readonly dockerHost: string;
  /** called after the first answer or failure, and when `isAvailable`, `reason` or `info` change */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The node's critical condition. */
export function toRuntimeCondition({ isAvailable, reason, message }: EngineState): ReportedCondition {
  return { type: 'RuntimeUnavailable', status: isAvailable ? 'False' : 'True', reason, message };
}

export function createEngineMonitor({ engine, dockerHost, onChange, clock, log }: EngineMonitorOptions): EngineMonitor {
  let state: EngineState = {
    isAvailable: false,
    reason: 'EngineNotAsked',
    message: `The container engine at ${dockerHost} has not answered yet since the agent started`,
  };
  let failures = 0;
  let infoAtMs = -Infinity;

  function change(next: EngineState): void {
    const isNews = next.isAvailable !== state.isAvailable || next.reason !== state.reason;
    const isOther = next.info?.serverVersion !== state.info?.serverVersion || next.info?.dataDir !== state.info?.dataDir;
    state = next;
    if (isNews) {
      const fields = { reason: next.reason, detail: next.message };
      if (next.isAvailable) {
        log.info(fields, 'container engine available');
      } else {
        log.warn(fields, 'container engine unavailable');
      }
    }
    if (isNews || isOther) {
      onChange();
    }
  }

  async function readInfo(signal: AbortSignal): Promise<EngineInfo | undefined> {
    const isFresh = clock.monotonicMs() - infoAtMs < INFO_MAX_AGE_MS;
    if (state.info !== undefined && state.isAvailable && isFresh) {
      return state.info;
    }
    using deadline = withDeadline(clock, TIME_LIMIT_MS, signal);
    try {
      const info = await engine.info(deadline.signal);
      infoAtMs = clock.monotonicMs();
      return info;
    } catch {
      signal.throwIfAborted();
      return state.info; // it answers pings; what it is called can wait for the next time
    }
  }

  async function look(signal: AbortSignal): Promise<void> {
    using deadline = withDeadline(clock, TIME_LIMIT_MS, signal);
    try {
      await engine.ping(deadline.signal);
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      if (failures >= FAILURES_TO_REPORT || !state.isAvailable) {
        change({ ...state, isAvailable: false, ...explain(error, dockerHost) });
      }
      return;
    }
    const info = await readInfo(signal);
    failures = 0;
    change({
      isAvailable: true,
      reason: 'EngineAnswers',
      message: `The container engine answers at ${dockerHost}`,
      ...(info !== undefined && { info }),
    });
  }

  return {
    state: () => state,
    run: async (signal) => {
      for (;;) {
        await look(signal);
        await clock.sleep(failures === 1 ? SECOND_LOOK_MS : PERIOD_MS, signal);
      }
    },
  };
}

function explain(error: unknown, dockerHost: string): Pick<EngineState, 'reason' | 'message'> {
  if (error instanceof EngineError && error.reason !== 'Timeout') {
    return { reason: error.reason, message: error.message };
  }
  return {
    reason: 'EngineHangs',
    message: `The container engine at ${dockerHost} accepts connections but does not answer within ${TIME_LIMIT_MS / 1000} s: look at its log, or restart it`,
  };
}
