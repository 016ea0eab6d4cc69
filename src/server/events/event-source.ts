/**
 * Event source: tells the recorder what each change of a Node or a Project means, and what happens to many nodes at once.
 *
 * Never    tells of what was there when the server started: that is state, not something that happened.
 * Callers  start-events.ts makes one before the mirrors run; the composition disposes of it at the end.
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { StoredObject } from '../../store/store.ts';
import type { CrowdEvents } from './crowd-events.ts';
import { eventsOfLeaving } from './drain-events.ts';
import type { EventFact, FactSink } from './event-fact.ts';
import { eventsOfNodeChange } from './node-events.ts';
import { eventsOfProjectChange } from './project-events.ts';

export interface EventSourceDeps {
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
  readonly recorder: FactSink;
  readonly crowds: Pick<CrowdEvents, 'note'>;
}

/** Subscribes at once; disposing of it unsubscribes. */
export function createEventSource({ nodes, projects, recorder, crowds }: EventSourceDeps): Disposable {
  const sink: FactSink = {
    record: (fact) => {
      recorder.record(fact);
      crowds.note(fact);
    },
  };
  const eventsOfProject = (previous: ProjectObject | undefined, next: ProjectObject | undefined): readonly EventFact[] => {
    const nodeRef = previous?.status.nodeRef;
    const isEmpty = (): boolean =>
      !projects
        .items()
        .values()
        .some(({ status }) => status.nodeRef === nodeRef);
    const surroundings = { node: nodeRef === undefined ? undefined : nodes.get(nodeRef), isEmpty };
    const leaving = previous === undefined ? [] : eventsOfLeaving(previous, next, surroundings);
    return [...eventsOfProjectChange(previous, next), ...leaving];
  };
  const unsubscribers = [follow(nodes, sink, eventsOfNodeChange), follow(projects, sink, eventsOfProject)];
  return { [Symbol.dispose]: () => unsubscribers.forEach((unsubscribe) => unsubscribe()) };
}

function follow<Item extends StoredObject>(
  mirror: Mirror<Item>,
  sink: FactSink,
  eventsOf: (previous: Item | undefined, next: Item | undefined) => readonly EventFact[],
): () => void {
  return mirror.onChange(({ type, object, previous }) => {
    // version 0: the first list is being taken in. A MODIFIED whose past the log has lost says only what is so, not what happened.
    if (mirror.version === 0 || (type === 'MODIFIED' && previous === undefined)) {
      return;
    }
    const facts = type === 'DELETED' ? eventsOf(previous ?? object, undefined) : eventsOf(previous, object);
    facts.forEach((fact) => sink.record(fact));
  });
}
