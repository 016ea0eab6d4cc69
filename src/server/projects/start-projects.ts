/** Puts the parts of projects/ together, and the scheduler, which chooses their nodes. Callers: composition.ts. */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Spawner } from '../cluster/seat.ts';
import { createScheduler } from '../scheduler/scheduler.ts';
import { createMoveService, type MoveService, type MoveServiceDeps } from './move-service.ts';
import { createProjectController, type ProjectControllerDeps } from './project-controller.ts';
import { createProjectService, type ProjectService } from './project-service.ts';
import { createRolloutService, type RolloutService } from './rollout-service.ts';

export interface StartProjectsDeps extends Pick<MoveServiceDeps, 'cordon' | 'onEmpty'>, ProjectControllerDeps {
  readonly store: Store;
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
  /** undefined: nothing was ever restored */
  readonly epoch: Epoch | undefined;
  /** both loops look at the whole fleet when they begin */
  readonly later: Spawner;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
}

export interface StartedProjects {
  readonly service: ProjectService;
  readonly rollouts: RolloutService;
  readonly moves: MoveService;
}

export function startProjects(deps: StartProjectsDeps): StartedProjects {
  const { epoch, later } = deps;
  const scheduler = createScheduler({ ...deps, assignmentBase: epoch?.assignmentBase ?? 0 });
  const controller = createProjectController(deps);
  later.spawn('scheduler', (signal) => scheduler.run(signal));
  later.spawn('project-controller', (signal) => controller.run(signal));
  return { service: createProjectService(deps), rollouts: createRolloutService(deps), moves: createMoveService(deps) };
}
