/** Why a Project or one of its services cannot be brought up: the one table of reasons. step-failure.ts finds that of a failed step. */

export type FailureReason =
  | 'ImagePullFailed'
  | 'ImageNotPresent'
  | 'PortInUse'
  | 'CreateFailed'
  | 'StartFailed'
  | 'StopFailed'
  | 'RemoveFailed'
  | 'NetworkFailed'
  | 'NoSubnet'
  | 'VolumeFailed'
  | 'VolumeNotFound'
  | 'VolumeTypeChanged'
  | 'NameTaken'
  | 'DiskFull'
  | 'DependencyFailed'
  | 'CrashLoop'
  | 'Exited'
  | 'Paused'
  | 'Unhealthy'
  | 'HealthCheckImpossible'
  | 'SecretNotFound'
  | 'SecretUnavailable'
  | 'SecretInvalid'
  | 'PrivilegedNotAllowed'
  | 'HostPathNotAllowed'
  | 'Fenced'
  | 'RolledBack'
  | 'RenameFailed'
  | 'ProgressDeadlineExceeded'
  | 'InternalError';

/** A reason for programs and a sentence for people. */
export interface Failure {
  readonly reason: FailureReason;
  readonly message: string;
}

/** Thrown by an effect that knows the reason better than the engine does. */
export class StepError extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'StepError';
    this.reason = reason;
  }
}
