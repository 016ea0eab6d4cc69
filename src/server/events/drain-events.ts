/** Drain events: that a cordoned node has become empty, by the word of its agent; pure. Callers: event-source.ts, composition.ts. */
import { hasMoved } from '../../api/project/leaving.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { subjectOf, type EventFact } from './event-fact.ts';

/**
 * What it tells that a Project has left its node.
 * @param next undefined: it is gone
 * @param isEmpty whether nothing else is on the node; asked only where it matters
 */
export function eventsOfLeaving(
  previous: ProjectObject,
  next: ProjectObject | undefined,
  { node, isEmpty }: { readonly node: NodeObject | undefined; readonly isEmpty: () => boolean },
): readonly EventFact[] {
  const hasLeft = previous.status.nodeRef !== undefined && next?.status.nodeRef !== previous.status.nodeRef;
  if (!hasLeft || node?.spec.unschedulable !== true) {
    return [];
  }
  // a node that was given up may still run it
  const isConfirmed = next === undefined ? node.status.state !== 'NotReady' : hasMoved(next.status);
  return isConfirmed && isEmpty() ? [drained(node, previous.metadata.name)] : [];
}

/** @param last the Project that left last; undefined: there was none */
export function drained(node: NodeObject, last?: string): EventFact {
  const how = last === undefined ? 'No Project is on it' : `The last Project on it, ${last}, has left it`;
  return { object: subjectOf(node), type: 'Normal', reason: 'Drained', message: `${how}; it stays cordoned` };
}
