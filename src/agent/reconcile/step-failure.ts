/** How the failures of steps become reasons of a Project: pure. Callers: step-runner.ts, restart-backoff.ts. */
import { EngineError, hasEngineReason, type EngineReason } from '../docker/engine-error.ts';
import { StepError, type Failure, type FailureReason } from './failure.ts';
import type { Step } from './steps.ts';

const SHORT_ID = 12; // digits

const BY_STEP: { readonly [K in Step['kind']]: FailureReason } = {
  pullImage: 'ImagePullFailed',
  readSecrets: 'SecretUnavailable',
  createNetwork: 'NetworkFailed',
  createVolume: 'VolumeFailed',
  createContainer: 'CreateFailed',
  startContainer: 'StartFailed',
  restartContainer: 'StartFailed',
  stopContainer: 'StopFailed',
  removeContainer: 'RemoveFailed',
  renameContainer: 'RenameFailed',
  attachContainer: 'NetworkFailed',
  rollBack: 'InternalError',
  removeNetwork: 'RemoveFailed',
  removeVolume: 'RemoveFailed',
};

const BY_ENGINE: Partial<Record<EngineReason, FailureReason>> = {
  PortInUse: 'PortInUse',
  NoSpace: 'DiskFull',
  NameConflict: 'NameTaken',
  ImageNotFound: 'ImagePullFailed',
};

/**
 * Tells whether a step failed as the engine is in trouble, and would have for whatever was asked of it. What the runtime says of a
 * container has a reason of its own (docker/engine-failure.ts).
 */
export function isEnginesFault(error: unknown): boolean {
  return hasEngineReason(error, 'EngineFault', 'EngineUnreachable', 'Timeout', 'NoSpace');
}

/**
 * What a failed step means for the Project.
 * @returns undefined when it says nothing about the Project: the engine is away, or was busy with the same thing
 */
export function toFailure(step: Step, error: unknown): Failure | undefined {
  if (error instanceof StepError) {
    return { reason: error.reason, message: error.message };
  }
  // What someone else holds on to is named, as a teardown would hang without a word; a container in transition is not.
  const isHeld = step.kind === 'removeNetwork' || step.kind === 'removeVolume';
  if (hasEngineReason(error, 'EngineUnreachable', 'EngineTooOld') || (hasEngineReason(error, 'Conflict') && !isHeld)) {
    return undefined;
  }
  if (hasEngineReason(error, 'TaskLeftOver') && 'containerId' in step) {
    // not made anew by itself: that would cost it what it has written outside of its volumes
    const way = `restart the engine on the node, or have the container made anew: docker rm -f ${step.containerId?.slice(0, SHORT_ID)}`;
    return { reason: BY_STEP[step.kind], message: `${error.message}; it holds on to what is left of the last run: ${way}` };
  }
  if (error instanceof EngineError) {
    return { reason: BY_ENGINE[error.reason] ?? BY_STEP[step.kind], message: error.message };
  }
  return {
    reason: 'InternalError',
    message: `Cannot go on as of a fault in the agent: ${error instanceof Error ? error.message : String(error)}`,
  };
}
