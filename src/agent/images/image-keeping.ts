/** What keeps the images of this node, put together: puller, ledger and cleaner. Callers: composition.ts. */
import { join } from 'node:path';
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Stopper } from '../../base/stopper.ts';
import type { Engine } from '../docker/engine.ts';
import { ImageCleaner } from './image-cleaner.ts';
import { ImageLedger } from './image-ledger.ts';
import { createImagePuller, type ImagePuller } from './image-puller.ts';

export interface ImageKeepingOptions {
  readonly engine: Engine;
  readonly dataDir: string;
  readonly disk: Disk;
  /** Undefined while it is not known. */
  readonly assigned: () => readonly ProjectObject[] | undefined;
  readonly isUnderPressure: () => boolean;
  /** Of the disk that holds the engine's data. */
  readonly readFreeBytes: () => Promise<number>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ImageKeeping {
  readonly puller: ImagePuller;
  readonly ledger: ImageLedger;
  readonly cleaner: ImageCleaner;
  /** Spawns the loops. */
  start(stopper: Stopper): void;
}

/** Reads what an earlier run has noted. */
export async function createImageKeeping(options: ImageKeepingOptions): Promise<ImageKeeping> {
  const { dataDir, readFreeBytes } = options;
  const log = options.log.child({ component: 'images' });
  const ledger = new ImageLedger({ ...options, log, path: join(dataDir, 'images.json') });
  await ledger.read();
  const cleaner = new ImageCleaner({ ...options, log, ledger });
  const puller = createImagePuller({
    ...options,
    onPulled: (reference, { id }) => ledger.notePull(reference, id),
    onNoSpace: async () => {
      cleaner.diskIsFull();
      return await readFreeBytes().catch(() => undefined);
    },
  });
  return {
    puller,
    ledger,
    cleaner,
    start: (stopper) => {
      stopper.spawn('image-ledger', async (signal) => await ledger.run(signal));
      stopper.spawn('image-cleaner', async (signal) => await cleaner.run(signal));
    },
  };
}
