/** Whether an image is being pulled: what else uses the line to the full waits for that. */
import type { Engine } from './engine.ts';

export interface PullGauge {
  /** the engine to pull with; in all else the one given */
  readonly engine: Engine;
  readonly isPulling: () => boolean;
}

/** Counts the pulls that are made through the engine that it returns. */
export function gaugePulls(engine: Engine): PullGauge {
  let pulls = 0;
  const pullImage: Engine['pullImage'] = async (reference, options, signal) => {
    pulls += 1;
    try {
      await engine.pullImage(reference, options, signal);
    } finally {
      pulls -= 1;
    }
  };
  // not a copy with one function changed: an engine may be of a class, with private state behind `this`
  const gauged = new Proxy(engine, {
    get: (target, key) => {
      const value: unknown = key === 'pullImage' ? pullImage : Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { engine: gauged, isPulling: () => pulls > 0 };
}
