/** What a server is put together from. Callers: main.ts, composition.ts; the simulation gives its own. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Store } from '../store/store.ts';
import type { ClusterPorts } from './cluster/start-cluster.ts';
import { databaseUrlOf, isMemoryUrl, isPostgresUrl, type ServerConfig } from './config.ts';

export interface ServerPorts {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** given by tests and the simulation, who close it; otherwise DATABASE_URL says which */
  readonly store?: Store;
  /** shows a person what no log may hold; default: nobody is there */
  readonly tell?: (text: string) => void;
  /** given by the simulation: this server is one of several on `store` */
  readonly cluster?: ClusterPorts;
  /** false: no socket, the app is called through `app.inject` */
  readonly listen?: boolean;
}

/** Whether there may be other servers on the same store. */
export function isShared({ cluster, store, config }: ServerPorts): boolean {
  return cluster !== undefined || (store === undefined && isPostgresUrl(databaseUrlOf(config)));
}

/** Whether what the server keeps outlasts its process: else keys and an audit file would be litter. */
export function isKept({ store, config }: ServerPorts): boolean {
  return store === undefined && !isMemoryUrl(databaseUrlOf(config));
}
