/**
 * Steps: what the reconciler does to the engine, as data. `plan` makes them, `effects` carries them out, tests compare them.
 *
 * Source   balena-supervisor's composition steps, with one effect per kind.
 */
import type { ContainerSpec, Labels } from '../docker/docker-types.ts';
import { LABEL } from '../docker/names.ts';
import type { Failure } from './failure.ts';
import type { PullSecret } from './desired/image-pull.ts';
import type { ServiceInputs } from './desired/service-inputs.ts';

export type Step =
  /** `isForced`: also where it is there. `secrets`: with credentials for its registry. */
  | { readonly kind: 'pullImage'; readonly image: string; readonly isForced?: boolean; readonly secrets?: readonly PullSecret[] }
  /** Into memory, so that the container before is not given up for one that cannot be made. `configHash` is what they are for. */
  | { readonly kind: 'readSecrets'; readonly service: string; readonly configHash: string; readonly inputs: ServiceInputs }
  | { readonly kind: 'createNetwork'; readonly name: string; readonly labels: Labels }
  | { readonly kind: 'createVolume'; readonly name: string; readonly labels: Labels }
  | {
      readonly kind: 'createContainer';
      readonly service: string;
      readonly name: string;
      readonly spec: ContainerSpec;
      readonly inputs?: ServiceInputs;
    }
  /** `inputs`: before its first start, for its files. `hostPaths`: what of the host it mounts. */
  | {
      readonly kind: 'startContainer';
      readonly service: string;
      readonly containerId: string;
      readonly inputs?: ServiceInputs;
      readonly hostPaths?: readonly string[];
    }
  /** As its health check fails. `isStepwise`: whether it may start is asked anew when it has stopped. */
  | {
      readonly kind: 'restartContainer';
      readonly service: string;
      readonly containerId: string;
      readonly graceMs: number;
      readonly isStepwise: boolean;
    }
  | { readonly kind: 'stopContainer'; readonly service: string; readonly containerId: string; readonly graceMs: number }
  /** `isStuck`: an earlier removal did not end, and only force gets rid of it. */
  | { readonly kind: 'removeContainer'; readonly service: string; readonly containerId: string; readonly isStuck: boolean }
  | { readonly kind: 'renameContainer'; readonly service: string; readonly containerId: string; readonly name: string }
  /** Puts it on the network under these names alone, with the address given where there is one; it keeps its connections with the address it had. */
  | {
      readonly kind: 'attachContainer';
      readonly service: string;
      readonly containerId: string;
      readonly network: { readonly id: string; readonly name: string };
      readonly aliases: readonly string[];
      readonly address?: string;
    }
  /** Gives the version up that is being brought up, once what its container said last is written down. */
  | {
      readonly kind: 'rollBack';
      readonly service: string;
      readonly containerId: string | undefined;
      readonly cause: Failure;
      /** What is given up. */
      readonly version: string;
    }
  | { readonly kind: 'removeNetwork'; readonly name: string; readonly networkId: string }
  /** Of an Ephemeral volume, never of another. */
  | { readonly kind: 'removeVolume'; readonly name: string };

export type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** One function per kind: a step without an effect, or an effect without a step, does not compile. */
export type Effects = { readonly [K in Step['kind']]: (step: StepOf<K>, signal: AbortSignal) => Promise<void> };

/** Carries out a step. */
export async function executeStep<K extends Step['kind']>(
  effects: Effects,
  step: StepOf<K> & { readonly kind: K },
  signal: AbortSignal,
): Promise<void> {
  await effects[step.kind](step, signal);
}

/** Names a step within its Project: what back-off counts by. A changed spec makes another container, so its failures begin anew. */
export function stepKey(step: Step): string {
  switch (step.kind) {
    case 'pullImage':
      return ['pullImage', step.image, ...(step.secrets ?? []).map(({ fingerprint }) => fingerprint)].join(' ');
    case 'readSecrets':
      return `readSecrets ${step.service} ${step.configHash}`;
    case 'createNetwork':
    case 'createVolume':
    case 'removeVolume':
      return `${step.kind} ${step.name}`;
    case 'createContainer':
      return `createContainer ${step.name} ${step.spec.labels[LABEL.configHash] ?? ''}`;
    case 'startContainer':
    case 'restartContainer':
    case 'stopContainer':
    case 'removeContainer':
      return `${step.kind} ${step.containerId}`;
    case 'renameContainer':
      return `renameContainer ${step.containerId} ${step.name}`;
    case 'attachContainer':
      return `attachContainer ${step.containerId} ${step.aliases.join(',')}`;
    case 'rollBack':
      return `rollBack ${step.version}`;
    case 'removeNetwork':
      return `removeNetwork ${step.networkId}`;
    default:
      return step satisfies never;
  }
}

/** What a step works on: no two steps on the same thing run at once. */
export function stepTarget(step: Step): string {
  switch (step.kind) {
    case 'pullImage':
      return `image ${step.image}`;
    case 'createNetwork':
    case 'removeNetwork':
      return `network ${step.name}`;
    case 'createVolume':
    case 'removeVolume':
      return `volume ${step.name}`;
    case 'readSecrets':
    case 'createContainer':
    case 'startContainer':
    case 'restartContainer':
    case 'stopContainer':
    case 'removeContainer':
    case 'renameContainer':
    case 'attachContainer':
    case 'rollBack':
      return `service ${step.service}`;
    default:
      return step satisfies never;
  }
}
