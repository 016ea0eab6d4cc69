/**
 * Image puller: gets images onto the engine, one way for all Projects of the agent.
 *
 * Owns     the gate before registries that refuse us.
 * Never    pulls what is there unless told to: that could move a tag under somebody's containers. Writes credentials anywhere.
 * Callers  reconcile/effects.ts.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { ImageDetail, PullProgress, RegistryAuth } from '../docker/docker-types.ts';
import { EngineError, hasEngineReason } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import { RegistryGate } from './registry-gate.ts';

export interface PullOptions {
  readonly auth: RegistryAuth | undefined;
  /** Also where the image is there: the registry may have another by now. */
  readonly isForced: boolean;
  readonly onProgress: (progress: PullProgress) => void;
}

export interface ImagePuller {
  /** Resolves when the image is there. @throws {EngineError} as Engine.pullImage; `retryAfterMs` where the registry is not to be asked before */
  pull(image: string, options: PullOptions, signal: AbortSignal): Promise<void>;
}

export interface ImagePullerOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when an image is there that was not before. */
  readonly onPulled?: (reference: string, image: ImageDetail) => void;
  /** Called when the disk is full. @returns free bytes where they are known */
  readonly onNoSpace?: () => Promise<number | undefined>;
}

export function createImagePuller({ engine, clock, random, onPulled, onNoSpace }: ImagePullerOptions): ImagePuller {
  const gate = new RegistryGate({ clock, random });
  return {
    pull: async (image, { auth, isForced, onProgress }, signal) => {
      const before = await engine.inspectImage(image, signal);
      if (before !== undefined && !isForced) {
        return; // another Project has pulled it meanwhile
      }
      gate.enter(image, auth);
      try {
        await engine.pullImage(image, { ...(auth !== undefined && { auth }), onProgress }, signal);
      } catch (error) {
        signal.throwIfAborted();
        const told = gate.leave(image, auth, error);
        throw hasEngineReason(told, 'NoSpace') ? describeNoSpace(image, told, await onNoSpace?.()) : told;
      }
      gate.leave(image, auth, undefined);
      const after = await engine.inspectImage(image, signal);
      if (after !== undefined && after.id !== before?.id) {
        onPulled?.(image, after);
      }
    },
  };
}

function describeNoSpace(image: string, error: EngineError, freeBytes: number | undefined): EngineError {
  const free = freeBytes === undefined ? '' : `, where ${Math.floor(freeBytes / 2 ** 20)} MiB are free without it`;
  const said = error.message.slice(error.message.indexOf('": ') + 3);
  const text = `Cannot pull image "${image}" as it does not fit onto the engine's disk${free}: free space on the node (said: ${said})`;
  return new EngineError('NoSpace', text, { cause: error });
}
