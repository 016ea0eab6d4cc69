/**
 * Host sampler: what the machine has and whether it runs low, measured every ten seconds into a cached sample.
 *
 * Owns     the latest sample and the memory that hysteresis needs.
 * Never    holds up who reads it: a file system that hangs leaves the last sample standing.
 * Callers  each heartbeat reads `latest` (compose/link.ts); composition.ts runs the loop.
 */
import type { ResourceAmounts } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { Outage } from '../outage.ts';
import { deriveAllocatable, deriveCapacity, type Resources } from './capacity.ts';
import type { HostMeasure, HostProbe } from './host-probe.ts';
import {
  deriveDiskPressure,
  deriveMemoryPressure,
  NO_DISK_PRESSURE,
  toDiskCondition,
  toMemoryCondition,
  type ReportedCondition,
} from './pressure.ts';

const PERIOD_MS = 10_000; // a third of the default heartbeat interval: each beat has news
const FIRST_WAIT_MS = 1000; // for the engine to name its data folder, so that the first sample is of the right disk

export interface HostSample {
  readonly capacity: ResourceAmounts;
  readonly allocatable: ResourceAmounts;
  readonly conditions: readonly ReportedCondition[];
}

export interface HostSampler {
  latest(): HostSample | undefined;
  /** Measures as soon as possible: something changed. */
  sampleSoon(): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface HostSamplerOptions {
  readonly probe: HostProbe;
  readonly reserved: Resources;
  /** the engine's data folder; undefined while it is not known */
  readonly dataDir: () => string | undefined;
  /** called after the first sample and after each whose conditions differ from the one before */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createHostSampler({ probe, reserved, dataDir, onChange, clock, log }: HostSamplerOptions): HostSampler {
  const wakeup = new Wakeup();
  const outage = new Outage(log, clock, 'host sampling');
  const derive = createDeriver(reserved);
  let latest: HostSample | undefined;

  async function sample(): Promise<void> {
    try {
      const next = derive(await probe.measure(dataDir()));
      const changed = changedConditions(latest, next);
      latest = next;
      outage.recovered();
      for (const { type, status, reason, message } of changed) {
        const level = status === 'True' ? 'warn' : 'info';
        log[level]({ condition: type, status, reason, detail: message }, 'condition changed');
      }
      if (changed.length > 0) {
        onChange();
      }
    } catch (error) {
      outage.failed(error);
    }
  }

  return {
    latest: () => latest,
    sampleSoon: () => wakeup.notify(),
    run: async (signal) => {
      await wakeup.wait(clock, FIRST_WAIT_MS, signal);
      for (;;) {
        await sample();
        await wakeup.wait(clock, PERIOD_MS, signal);
      }
    },
  };
}

function createDeriver(reserved: Resources): (measure: HostMeasure) => HostSample {
  let diskPressure = NO_DISK_PRESSURE;
  let isMemoryLow = false;
  return ({ cpuMillis, memoryBytes, memoryAvailableBytes, disk }) => {
    diskPressure = deriveDiskPressure(diskPressure, disk);
    isMemoryLow = deriveMemoryPressure(isMemoryLow, memoryAvailableBytes, memoryBytes);
    const total = { cpuMillis, memoryBytes, diskBytes: disk.totalBytes };
    return {
      capacity: deriveCapacity(total),
      allocatable: deriveAllocatable(total, reserved),
      conditions: [toDiskCondition(diskPressure, disk), toMemoryCondition(isMemoryLow, memoryAvailableBytes, memoryBytes)],
    };
  };
}

/** Those whose status or reason is another; all of them for the first sample. */
function changedConditions(before: HostSample | undefined, after: HostSample): readonly ReportedCondition[] {
  return after.conditions.filter(({ type, status, reason }) => {
    const previous = before?.conditions.find((condition) => condition.type === type);
    return previous?.status !== status || previous.reason !== reason;
  });
}
