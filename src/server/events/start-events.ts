/** Puts the parts of events/ together. Callers: composition.ts, before the mirrors run. */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Spawner } from '../cluster/seat.ts';
import { createCrowdEvents } from './crowd-events.ts';
import type { FactSink } from './event-fact.ts';
import { createEventRecorder } from './event-recorder.ts';
import { createEventService, type EventService } from './event-service.ts';
import { createEventSource } from './event-source.ts';

export interface StartEventsDeps {
  readonly store: Store;
  /** not running yet: what they list first is state, and nothing that happened */
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
  readonly clusterId: string;
  /** whether this server is the one that tells of changes */
  readonly isTold: boolean;
  readonly lead: Spawner;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface StartedEvents extends Disposable {
  readonly recorder: FactSink;
  readonly events: EventService;
}

export function startEvents(deps: StartEventsDeps): StartedEvents {
  const { nodes, projects, isTold, lead } = deps;
  const recorder = createEventRecorder(deps);
  const crowds = createCrowdEvents({ ...deps, recorder });
  const source = isTold ? createEventSource({ nodes, projects, recorder, crowds }) : undefined;
  lead.spawn('crowd-events', (signal) => crowds.run(signal));
  lead.spawn('event-recorder', (signal) => recorder.run(signal));
  return { recorder, events: createEventService(deps), [Symbol.dispose]: () => source?.[Symbol.dispose]() };
}
