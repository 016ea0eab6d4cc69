/** What this agent says of itself whenever it registers. Callers: compose/link.ts, compose/credential.ts. */
import type { NodeInfo, Registration } from '../../api/node.ts';
import { VERSION } from '../../base/version.ts';
import type { HostProbe } from '../host/host-probe.ts';
import { describeIdentity } from '../identity.ts';
import type { StandingCell } from './standing.ts';

type HostInfo = ReturnType<HostProbe['info']>;

/** The machine as `status.info` has it. */
export function describeMachine(host: HostInfo): NodeInfo {
  const { hostname: _, ...info } = host;
  return { ...info, agentVersion: VERSION };
}

/** Says of all but the first of a process that it is a renewal: the first alone may bring back a node that was deleted. */
export function buildRegistration({
  host,
  identity,
  standing,
}: {
  readonly host: HostInfo;
  readonly identity: Parameters<typeof describeIdentity>[0];
  readonly standing: Pick<StandingCell, 'hasRegistered'>;
}): Registration {
  return {
    hostname: host.hostname,
    info: describeMachine(host),
    identity: describeIdentity(identity),
    ...(standing.hasRegistered && { renewal: true }),
  };
}
