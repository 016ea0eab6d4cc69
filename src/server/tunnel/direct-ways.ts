/**
 * Direct ways: which nodes the server reaches by their addresses.
 *
 * Owns     per node that was asked for, whether its address has proved to be its agent. That it did is believed for half a minute, and until
 *          it fails; that it did not, for 5 s.
 * Callers  node-links.ts.
 */
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { DirectLink, type AgentAddress } from './direct-link.ts';
import { LinkBroken, type Remote } from './remote.ts';

const BELIEVED_MS = 30_000;
const FAILED_BELIEVED_MS = 5000; // an agent that was restarted answers again soon; nobody waits for the next try where there is a tunnel
const PROBE_MS = 1000; // where there is a tunnel to fall back on
const PROBE_ALONE_MS = 3000;

export interface DirectWaysDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** runs a loop until it ends or the server stops */
  readonly spawn: (name: string, loop: (signal: AbortSignal) => Promise<void>) => void;
}

export interface Target {
  readonly address: AgentAddress;
  readonly credential: string;
  /** whether it can be reached otherwise: then nobody waits for the address for long */
  readonly hasTunnel: boolean;
}

interface Known {
  readonly link: DirectLink;
  /** undefined: the address does not answer, because of `why` */
  readonly roundTripMs: number | undefined;
  readonly why: string | undefined;
  readonly atMs: number;
}

export class DirectWays {
  readonly #deps: DirectWaysDeps;
  /** node name -> what its address did last */
  readonly #known = new Map<string, Known>();
  /** names of the nodes that are asked while nobody waits for it */
  readonly #probing = new Set<string>();

  constructor(deps: DirectWaysDeps) {
    this.#deps = deps;
  }

  /** Finds the way to the node's address; undefined where that does not answer, or not as its agent. */
  async find(node: string, target: Target, signal: AbortSignal): Promise<DirectLink | undefined> {
    const { address, hasTunnel } = target;
    const known = this.#known.get(node);
    const isCurrent = known !== undefined && isSame(known.link.address, address);
    const believedMs = known?.roundTripMs === undefined ? FAILED_BELIEVED_MS : BELIEVED_MS;
    const isFresh = isCurrent && this.#deps.clock.monotonicMs() - known.atMs < believedMs;
    if (isCurrent && (isFresh || hasTunnel)) {
      if (!isFresh) {
        this.#probeLater(node, target); // nobody waits for what is likely to be the same
      }
      if (known.roundTripMs !== undefined) {
        return known.link;
      }
      if (hasTunnel) {
        return undefined;
      }
    }
    const probed = await this.#probe(node, { ...target, limitMs: hasTunnel ? PROBE_MS : PROBE_ALONE_MS }, signal);
    return probed.roundTripMs === undefined ? undefined : probed.link;
  }

  /** Why the node's address was of no use last; undefined: it was, or nobody has tried. */
  whyNot(node: string): string | undefined {
    return this.#known.get(node)?.why;
  }

  /** A way that was found has broken. */
  noteFailure(node: string, remote: Remote, why: string): void {
    const known = this.#known.get(node);
    if (known?.link === remote) {
      this.#learn(node, { ...known, roundTripMs: undefined, why, atMs: this.#deps.clock.monotonicMs() });
    }
  }

  forget(node: string): void {
    this.#known.delete(node);
  }

  #learn(node: string, known: Known): Known {
    const before = this.#known.get(node);
    if ((before?.roundTripMs === undefined) !== (known.roundTripMs === undefined)) {
      this.#deps.log.info({ node, path: known.roundTripMs === undefined ? 'tunnel' : 'direct', detail: known.why }, 'path to node changed');
    }
    this.#known.set(node, known);
    return known;
  }

  /** Asks the node's address to prove that it is the agent. */
  async #probe(node: string, target: Omit<Target, 'hasTunnel'> & { readonly limitMs: number }, signal: AbortSignal): Promise<Known> {
    const { clock, spawn } = this.#deps;
    const { address, credential, limitMs } = target;
    const before = this.#known.get(node)?.link;
    const link = before !== undefined && isSame(before.address, address) ? before : new DirectLink({ address, clock, spawn });
    if (before !== link) {
      before?.close();
    }
    using deadline = withDeadline(clock, limitMs, signal);
    try {
      const roundTripMs = await link.prove(credential, deadline.signal);
      return this.#learn(node, { link, roundTripMs, why: undefined, atMs: clock.monotonicMs() });
    } catch (error) {
      signal.throwIfAborted();
      const why = error instanceof LinkBroken ? error.message : 'nothing answers there';
      return this.#learn(node, { link, roundTripMs: undefined, why, atMs: clock.monotonicMs() });
    }
  }

  #probeLater(node: string, target: Target): void {
    if (!this.#probing.has(node)) {
      this.#probing.add(node);
      this.#deps.spawn('node-links', async (signal) => {
        await this.#probe(node, { ...target, limitMs: PROBE_ALONE_MS }, signal).finally(() => this.#probing.delete(node));
      });
    }
  }
}

function isSame(left: AgentAddress, right: AgentAddress): boolean {
  return left.host === right.host && left.port === right.port;
}
