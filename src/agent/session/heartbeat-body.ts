/** What a heartbeat says: the latest that each part of the agent knows. Pure. */
import type { Heartbeat, NetworkStatus, NodeInfo } from '../../api/node.ts';
import { toRuntimeCondition, type EngineState } from '../host/engine-monitor.ts';
import type { HostSample } from '../host/host-sampler.ts';
import type { ReportedCondition } from '../host/pressure.ts';

export interface HeartbeatParts {
  readonly engine: EngineState;
  /** undefined until the machine was measured */
  readonly host: HostSample | undefined;
  readonly network: NetworkStatus;
  /** the last test's; undefined where there was none */
  readonly throughput: NetworkStatus['throughput'];
  /** really bound */
  readonly agentPort: number;
  readonly info: NodeInfo;
  readonly identity: NonNullable<Heartbeat['identity']>;
  /** undefined while there is nothing to say of the clock */
  readonly clock: ReportedCondition | undefined;
  /** undefined while nothing is held */
  readonly held: ReportedCondition | undefined;
}

export function buildHeartbeat({ engine, host, network, throughput, agentPort, info, identity, clock, held }: HeartbeatParts): Heartbeat {
  return {
    network: { ...network, agentPort, ...(throughput !== undefined && { throughput }) },
    ...(host !== undefined && { capacity: host.capacity, allocatable: host.allocatable }),
    info: { ...info, ...(engine.info !== undefined && { containerRuntimeVersion: `docker://${engine.info.serverVersion}` }) },
    conditions: [
      toRuntimeCondition(engine),
      ...(host?.conditions ?? []),
      ...(clock === undefined ? [] : [clock]),
      ...(held === undefined ? [] : [held]),
    ],
    identity,
  };
}
