/**
 * Assignment watcher: which Projects are this node's, from a list and the watch that follows it; where no watch can be opened,
 * from the list alone, again every ten seconds.
 *
 * Owns     the resourceVersion up to which it has seen everything.
 * Never    believes a list of a server that does not know this node, or of another cluster: an empty one would clear everything away.
 * Callers  composition.ts runs it, and asks for a fresh list after each registration.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { ObjectList } from '../../api/meta.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import type { WatchEvent } from '../../api/watch-event.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { readLive } from './live-stream.ts';
import { Outage } from '../outage.ts';

const BACKOFF = { baseMs: 500, capMs: 10_000 }; // the cap is the polling interval

/** What becomes of what the watcher learns. */
export interface AssignmentSink {
  /** the complete set. @param epoch since when the control plane's state is a restored one */
  replaceAll(clusterId: string, projects: readonly ProjectObject[], epoch?: Epoch): void;
  put(project: ProjectObject): void;
  remove(project: string, uid: string): void;
}

export interface AssignmentWatcher {
  /** Lists anew: what this node was told before may not hold. Nothing is listed before the first call. */
  relist(): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface AssignmentWatcherOptions {
  readonly client: Pick<CaraClient, 'version' | 'nodes' | 'projects'>;
  readonly nodeName: string;
  /** the cluster that this node has joined */
  readonly clusterId: () => string | undefined;
  readonly sink: AssignmentSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createAssignmentWatcher(options: AssignmentWatcherOptions): AssignmentWatcher {
  const { client, nodeName, clusterId, sink, clock, random, log } = options;
  const query = { nodeRef: nodeName };
  const relisting = new Wakeup();
  const outage = new Outage(log, clock, 'assignment watch');
  const backoff = new Backoff(BACKOFF, random);
  let current = new AbortController(); // of the request or stream under way
  let version: string | undefined;
  let isRelisting = false;

  /** @returns whether the list was taken over */
  async function list(signal: AbortSignal): Promise<boolean> {
    const found: ObjectList<ProjectObject> = await client.projects.list(query, signal);
    // Asked after the list: a server that was replaced in between must not have its word count.
    const [server, node] = [await client.version(signal), await client.nodes.find(nodeName, signal)];
    const joined = clusterId();
    if (node === undefined || joined === undefined || server.clusterId !== joined) {
      log.debug({ isNodeKnown: node !== undefined, clusterId: server.clusterId }, 'list of assignments ignored');
      return false;
    }
    version = found.metadata.resourceVersion;
    sink.replaceAll(
      joined,
      found.items.filter((project) => project.status.nodeRef === nodeName),
      server.epoch,
    );
    return true;
  }

  function take(event: WatchEvent<ProjectObject>): void {
    if (event.type !== 'BOOKMARK') {
      const { metadata, status } = event.object;
      if (event.type === 'DELETED' || status.nodeRef !== nodeName) {
        sink.remove(metadata.name, metadata.uid);
      } else {
        sink.put(event.object);
      }
    }
    version = event.object.metadata.resourceVersion;
  }

  /** Follows the watch until it ends. @throws {ApiError} also when nothing was heard for too long */
  async function follow(signal: AbortSignal): Promise<void> {
    await readLive(
      {
        open: (inner) => client.projects.watch({ ...query, ...(version !== undefined && { since: version }) }, inner),
        onItem: (event) => {
          take(event);
          outage.recovered();
          backoff.reset();
        },
        what: 'assignments',
      },
      clock,
      signal,
    );
  }

  /** One turn: a list where one is needed, then the watch until it ends. */
  async function turn(signal: AbortSignal): Promise<void> {
    if (version === undefined && !(await list(signal))) {
      return;
    }
    const before = version;
    try {
      await follow(signal);
    } catch (error) {
      if (version === before || hasReason(error, 'Expired')) {
        version = undefined; // nothing came of the watch: the next turn lists, so that without one we still poll
      }
      throw error;
    }
  }

  async function guardedTurn(signal: AbortSignal): Promise<void> {
    current = new AbortController();
    try {
      await turn(AbortSignal.any([signal, current.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (current.signal.aborted) {
        return;
      }
      if (!(error instanceof ApiError)) {
        throw error;
      }
      outage.failed(error);
    }
  }

  return {
    relist: () => {
      isRelisting = true;
      current.abort(new DOMException('List anew', 'AbortError'));
      relisting.notify();
    },
    run: async (signal) => {
      await relisting.wait(clock, Infinity, signal);
      for (;;) {
        if (isRelisting) {
          isRelisting = false;
          version = undefined;
          backoff.reset();
        }
        await guardedTurn(signal);
        await relisting.wait(clock, isRelisting ? 0 : backoff.nextMs(), signal);
      }
    },
  };
}
