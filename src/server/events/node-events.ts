/**
 * Node events: what a change of a Node's record tells; pure. All of it is in the two records: their times are the server's own.
 *
 * Callers  event-source.ts
 */
import { findCondition, type Condition } from '../../api/condition.ts';
import type { EventType } from '../../api/event.ts';
import type { NodeObject } from '../../api/node.ts';
import { subjectOf, type EventFact } from './event-fact.ts';
import { spanBetween, withSpan } from './span.ts';

/** Conditions whose begin and end are told. The others follow from state and spec, or are an agent's own and could be anything. */
const TOLD_CONDITIONS = ['RuntimeUnavailable', 'DiskPressure', 'MemoryPressure', 'ClockSkew', 'DuplicateIdentity', 'ProjectsHeld'] as const;

/** @param previous undefined: it was not there @param next undefined: it is gone */
export function eventsOfNodeChange(previous: NodeObject | undefined, next: NodeObject | undefined): readonly EventFact[] {
  if (previous !== undefined && next !== undefined && previous.metadata.uid === next.metadata.uid) {
    return [
      ...(previous.status.info === undefined && next.status.info !== undefined ? [registered(next)] : []),
      ...listStateEvents(previous, next),
      ...listCordonEvents(previous, next),
      ...(hasTold(previous) || hasTold(next) ? TOLD_CONDITIONS.flatMap((type) => listConditionEvents(previous, next, type)) : []),
    ];
  }
  return [...(previous === undefined ? [] : [deleted(previous)]), ...(next === undefined ? [] : [created(next)])];
}

function created(node: NodeObject): EventFact {
  // only an agent says what machine it is on: a record with no such words was made by a person ahead of the machine
  return node.status.info === undefined
    ? tell(node, 'Normal', 'Created', `Record created: waits for cara-agent to start with NODE_NAME=${node.metadata.name}`)
    : registered(node);
}

function registered(node: NodeObject): EventFact {
  const { agentVersion, osImage, architecture } = node.status.info ?? {};
  const { hostname } = node.spec;
  const parts = [
    hostname !== undefined && hostname !== '' && `host name ${hostname}`,
    agentVersion !== undefined && `agent ${agentVersion}`,
    osImage,
    architecture,
  ].filter(Boolean);
  return tell(node, 'Normal', 'Registered', `Its agent registered${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`);
}

function deleted(node: NodeObject): EventFact {
  return tell(node, 'Normal', 'NodeDeleted', `Record deleted, it was ${node.status.state}; containers on the machine are left alone`);
}

function listStateEvents(previous: NodeObject, next: NodeObject): readonly EventFact[] {
  const wasReady = previous.status.state !== 'NotReady';
  const isReady = next.status.state !== 'NotReady';
  if (isReady) {
    return wasReady ? [] : [recovered(previous, next)];
  }
  const hasFallenSilent = isTrue(find(next, 'NoHeartbeat')) && !isTrue(find(previous, 'NoHeartbeat'));
  return wasReady || hasFallenSilent ? [notReady(next)] : [];
}

function notReady(node: NodeObject): EventFact {
  const ready = find(node, 'Ready');
  const silence = find(node, 'NoHeartbeat');
  const message = ready?.message ?? '';
  if (!isTrue(silence)) {
    return tell(node, 'Warning', 'NodeNotReady', `${ready?.reason ?? 'NotReady'}: ${message}`);
  }
  const span = spanBetween(node.status.lastHeartbeat, silence?.lastTransitionTime);
  // after a restart of the server it was silent for longer than the timeout, which the message names
  const isTold = span !== undefined && message.includes(` ${span},`);
  return tell(node, 'Warning', 'NodeNotReady', `${withSpan('After ', isTold ? undefined : span, ' without contact: ')}${message}`);
}

function recovered(previous: NodeObject, next: NodeObject): EventFact {
  const before = find(previous, 'Ready');
  if (find(previous, 'NoHeartbeat')?.reason === 'NeverConnected') {
    return tell(next, 'Normal', 'NodeReady', `${next.status.state}: the first heartbeat came`);
  }
  const span = spanBetween(before?.lastTransitionTime, find(next, 'Ready')?.lastTransitionTime);
  const cause = before === undefined ? '' : ` (${before.reason})`;
  return tell(next, 'Normal', 'NodeReady', `${next.status.state} again${withSpan(' after ', span, ' of NotReady')}${cause}`);
}

function listCordonEvents(previous: NodeObject, next: NodeObject): readonly EventFact[] {
  if (previous.spec.unschedulable === next.spec.unschedulable) {
    return [];
  }
  return next.spec.unschedulable
    ? [tell(next, 'Normal', 'Cordoned', 'No new Projects are scheduled here; those on it go on running')]
    : [tell(next, 'Normal', 'Uncordoned', 'New Projects may be scheduled here again')];
}

function listConditionEvents(previous: NodeObject, next: NodeObject, type: string): readonly EventFact[] {
  const before = find(previous, type);
  const after = find(next, type);
  if (after !== undefined && isTrue(after)) {
    const isNews = !isTrue(before) || before?.reason !== after.reason; // it got worse, or better: DiskCritical
    return isNews ? [tell(next, 'Warning', type, `${after.reason}: ${after.message}`)] : [];
  }
  // Unknown is no end: while no heartbeats arrive nobody knows
  if (!isTrue(before) || after?.status === 'Unknown') {
    return [];
  }
  const span = spanBetween(before?.lastTransitionTime, after?.lastTransitionTime);
  const how = after === undefined || after.message === '' ? '' : `: ${after.message}`;
  return [tell(next, 'Normal', `${type}Cleared`, `Over${withSpan(' after ', span)}${how}`)];
}

/** Whether any condition that is told of is True: where none was and none is, there is nothing to tell. */
function hasTold({ status }: NodeObject): boolean {
  return status.conditions.some((condition) => isTrue(condition) && (TOLD_CONDITIONS as readonly string[]).includes(condition.type));
}

function find({ status }: NodeObject, type: string): Condition | undefined {
  return findCondition(status.conditions, type);
}

function isTrue(condition: Condition | undefined): boolean {
  return condition?.status === 'True';
}

function tell(node: NodeObject, type: EventType, reason: string, message: string): EventFact {
  return { object: subjectOf(node), type, reason, message };
}
