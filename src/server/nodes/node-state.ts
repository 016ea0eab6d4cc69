/**
 * Node state: the one place where a Node's state and conditions are computed. Pure.
 *
 * First match wins: NotReady (silent, or a critical condition is True), Draining (cordoned), Ready. Hysteresis is the agent's, who
 * measures: what it reports of its engine, disk and memory is taken as it is.
 * Callers  node-lifecycle.ts when heartbeats come or stop, node-service.ts when a user writes the spec.
 */
import { isDeepStrictEqual } from 'node:util';
import { findCondition, type Condition, type ConditionStatus } from '../../api/condition.ts';
import { formatDuration } from '../../api/duration.ts';
import { DISK_CRITICAL, NODE_CONDITION_TYPES, type Heartbeat, type NodeSpec, type NodeState, type NodeStatus } from '../../api/node.ts';

/** `Live`: the lease runs. `Expired`: it ran out. `Never`: no heartbeat ever came. */
export type LeaseState = 'Live' | 'Expired' | 'Never';

/** A second machine under the node's name. `AsBefore`: what `previous` says of it still holds. */
export type Dispute = 'AsBefore' | { readonly reason: string; readonly message: string };

/** All that a node's status depends on. */
export interface NodeFacts {
  readonly name: string;
  readonly spec: NodeSpec;
  readonly lease: LeaseState;
  /** how long a lease lasts, in milliseconds; for the messages */
  readonly leaseMs: number;
  /** what the agent has reported since `previous` was derived; a field that is absent stays as it was */
  readonly report: Heartbeat | undefined;
  /** RFC 3339; undefined: none ever came */
  readonly lastHeartbeat: string | undefined;
  readonly previous: NodeStatus | undefined;
  /** undefined: there is no second machine */
  readonly dispute?: Dispute | undefined;
  /** RFC 3339 */
  readonly now: string;
}

/** A condition without its times. */
type Finding = Omit<Condition, 'lastHeartbeatTime' | 'lastTransitionTime'>;

/** Shown once there was a second machine; not critical, as the first is healthy. */
const DUPLICATE = 'DuplicateIdentity';

/** What agents judge; the other conditions are the server's, and what an agent says about them is ignored. */
const REPORTED = ['RuntimeUnavailable', 'DiskPressure', 'MemoryPressure'] as const;
/** Of these every node has one, or the server says so. */
const KNOWN: ReadonlySet<string> = new Set([...NODE_CONDITION_TYPES, DUPLICATE]);

/**
 * Derives state and conditions. The result's conditions carry no lastHeartbeatTime: `withLastHeartbeat` lays it over when a node is read.
 * What says the same as before is the very object that it was, so that nobody has to look at it again.
 * @param share gives one object for conditions that are alike, whoever's they are
 */
export function deriveNodeStatus(facts: NodeFacts, share: (condition: Condition) => Condition = (condition) => condition): NodeStatus {
  const { spec, lease, report, previous, lastHeartbeat } = facts;
  const silence = deriveNoHeartbeat(facts);
  const reported = REPORTED.map((type) => deriveReported(type, facts));
  const critical = [silence, ...reported].find(isCritical);
  const state: NodeState = critical !== undefined ? 'NotReady' : spec.unschedulable ? 'Draining' : 'Ready';
  const findings = [deriveReady(lease, critical), silence, ...reported, deriveUnschedulable(spec), ...deriveOthers(facts)];
  const network = report?.network ?? previous?.network;
  const capacity = report?.capacity ?? previous?.capacity;
  const allocatable = report?.allocatable ?? previous?.allocatable;
  const info = report?.info ?? previous?.info;
  return {
    state,
    ...(network && { network }),
    ...(capacity && { capacity }),
    ...(allocatable && { allocatable }),
    ...(lastHeartbeat !== undefined && { lastHeartbeat }),
    conditions: findings.map((finding) => withTransitionTime(finding, facts, share)),
    ...(info && { info }),
  };
}

/** Tells whether two statuses say the same but for the time of the last heartbeat, which is not worth a write. */
export function isSameStatus(left: NodeStatus, right: NodeStatus): boolean {
  if (left.state !== right.state) {
    return false;
  }
  const { lastHeartbeat: _left, ...leftRest } = left;
  const { lastHeartbeat: _right, ...rightRest } = right;
  return isDeepStrictEqual(leftRest, rightRest);
}

/** Tells whether the stored status says that the node was heard from and had not fallen silent. */
export function isHeard(status: NodeStatus): boolean {
  return status.lastHeartbeat !== undefined && findCondition(status.conditions, 'NoHeartbeat')?.status !== 'True';
}

/** Tells whether the stored status says that there was a second machine under the node's name. */
export function isDisputed(status: NodeStatus): boolean {
  return findCondition(status.conditions, DUPLICATE)?.status === 'True';
}

function deriveNoHeartbeat({ name, lease, leaseMs, lastHeartbeat }: NodeFacts): Finding {
  const type = 'NoHeartbeat';
  switch (lease) {
    case 'Live':
      return { type, status: 'False', reason: 'HeartbeatReceived', message: 'Heartbeats arrive' };
    case 'Expired':
      return {
        type,
        status: 'True',
        reason: 'HeartbeatTimeout',
        message: `No heartbeat for longer than ${formatDuration(leaseMs)}, the last at ${lastHeartbeat ?? 'an unknown time'}: check that the machine is up, that cara-agent runs on it, and that it reaches the server`,
      };
    case 'Never':
      return { type, status: 'True', reason: 'NeverConnected', message: `No heartbeat yet: start cara-agent with NODE_NAME=${name}` };
    default:
      return lease satisfies never;
  }
}

function deriveReported(type: string, { lease, report, previous }: NodeFacts): Finding {
  if (lease !== 'Live') {
    return { type, status: 'Unknown', reason: 'NoHeartbeat', message: 'Not known while no heartbeats arrive' };
  }
  const found = (report?.conditions ?? previous?.conditions)?.find((condition) => condition.type === type);
  if (found === undefined || found.reason === 'NoHeartbeat') {
    return { type, status: 'Unknown', reason: 'NotReported', message: 'The agent has not reported on this' };
  }
  return { type, status: found.status, reason: found.reason ?? 'Reported', message: found.message ?? '' };
}

/** What is not in the contract's list: what else the agent reports, and whether there is a second machine; by name. */
function deriveOthers(facts: NodeFacts): readonly Finding[] {
  const { report, previous } = facts;
  const duplicate = deriveDuplicate(facts);
  const found: readonly { readonly type: string }[] = report?.conditions ?? previous?.conditions ?? [];
  const others = found.filter(({ type }) => !KNOWN.has(type));
  if (others.length === 0) {
    return duplicate; // as of nearly every node
  }
  const types = new Set(others.map(({ type }) => type));
  return [...Array.from(types, (type) => deriveReported(type, facts)), ...duplicate].sort((left, right) =>
    left.type < right.type ? -1 : 1,
  );
}

function deriveReady(lease: LeaseState, critical: Finding | undefined): Finding {
  const type = 'Ready';
  if (critical === undefined) {
    return { type, status: 'True', reason: 'NodeHealthy', message: 'Heartbeats arrive and nothing critical is wrong' };
  }
  const status: ConditionStatus = lease === 'Live' ? 'False' : 'Unknown';
  return { type, status, reason: critical.type, message: critical.message };
}

function deriveUnschedulable({ unschedulable }: NodeSpec): Finding {
  const type = 'Unschedulable';
  return unschedulable
    ? { type, status: 'True', reason: 'Cordoned', message: 'No new Projects are scheduled here until spec.unschedulable is false' }
    : { type, status: 'False', reason: 'Schedulable', message: 'New Projects may be scheduled here' };
}

function deriveDuplicate({ dispute, previous }: NodeFacts): readonly Finding[] {
  const before = previous && findCondition(previous.conditions, DUPLICATE);
  if (dispute === 'AsBefore') {
    return before === undefined ? [] : [before];
  }
  if (dispute !== undefined) {
    return [{ type: DUPLICATE, status: 'True', ...dispute }];
  }
  return before === undefined
    ? []
    : [{ type: DUPLICATE, status: 'False', reason: 'OneMachine', message: 'No other machine claims the name' }];
}

function isCritical({ type, status, reason }: Finding): boolean {
  return (
    status === 'True' && (type === 'NoHeartbeat' || type === 'RuntimeUnavailable' || (type === 'DiskPressure' && reason === DISK_CRITICAL))
  );
}

function withTransitionTime(
  { type, status, reason, message }: Finding,
  { previous, now }: NodeFacts,
  share: (condition: Condition) => Condition,
): Condition {
  const before = previous && findCondition(previous.conditions, type);
  if (before?.status === status && before.reason === reason && before.message === message && before.lastHeartbeatTime === undefined) {
    return before;
  }
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
  return share({ type, status, reason, message, lastTransitionTime }); // field by field: a spread of four and one more takes half as much memory again
}
