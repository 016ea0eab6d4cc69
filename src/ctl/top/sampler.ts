/**
 * Asks nodes what they use, again and again: each for itself, so that one that does not answer holds up none.
 *
 * Owns     the two latest samples of each node.
 * Callers  commands/top.ts
 */
import { ApiError } from '../../api/errors.ts';
import type { NodeStats } from '../../api/node/node-stats.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { Samples } from './use.ts';

const AT_ONCE = 16;
const LIMIT_MS = 3000; // a person is waiting; agents answer in milliseconds

export interface Round {
  /** node -> its samples; without those that did not answer this time */
  readonly samples: ReadonlyMap<string, Samples>;
  /** sentences on those */
  readonly problems: readonly string[];
}

export class Sampler {
  readonly #client: Pick<CaraClient, 'readStats'>;
  readonly #clock: Clock;
  #latest: ReadonlyMap<string, NodeStats> = new Map();

  constructor(client: Pick<CaraClient, 'readStats'>, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Asks each of the nodes once. @throws {ApiError} where the server itself cannot be asked */
  async round(nodes: readonly string[], signal: AbortSignal): Promise<Round> {
    const samples = new Map<string, Samples>();
    const problems: string[] = [];
    const left = [...nodes];
    const work = async (): Promise<void> => {
      for (let node = left.pop(); node !== undefined; node = left.pop()) {
        using deadline = withDeadline(this.#clock, LIMIT_MS, signal);
        try {
          const now = await this.#client.readStats(node, deadline.signal);
          samples.set(node, { before: this.#latest.get(node), now });
          if (now.problem !== undefined) {
            problems.push(`node ${node}: ${now.problem}`);
          }
        } catch (error) {
          signal.throwIfAborted();
          if (deadline.signal.aborted) {
            problems.push(`Cannot tell what node ${JSON.stringify(node)} uses as it did not answer within ${LIMIT_MS / 1000} s`);
            continue;
          }
          if (!(error instanceof ApiError) || error.reason === 'Unauthorized' || error.reason === 'Forbidden') {
            throw error;
          }
          problems.push(error.message);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#latest = new Map([...samples].map(([node, { now }]) => [node, now]));
    return { samples, problems: problems.toSorted() };
  }
}
