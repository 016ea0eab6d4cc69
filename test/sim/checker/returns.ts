/**
 * Promise 4: a deleted node comes back by the next start of its agent and by nothing else. No record follows a deletion while the process
 * runs on that had registered before, also where the answer to that registration was lost, and what was answered to be deleted is.
 */
import type { NodeObject } from '../../../src/api/node.ts';
import type { Ledger } from '../ledger.ts';
import type { Life } from '../world/life.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

/** When a process was first taken in, in virtual milliseconds. */
interface Taken {
  /** a server that was started since may not know of it, and the process neither, where the answer was lost */
  registeredAtMs?: number;
  /** it knows that it has registered, as before that it does not beat */
  beatAtMs?: number;
}

export class ReturnChecker {
  readonly #world: World;
  readonly #violate: (text: string) => void;
  /** by process */
  readonly #taken = new WeakMap<Life, Taken>();
  /** deleted node -> the process that must not bring it back */
  readonly #barred = new Map<string, Life>();
  /** node that is there again -> the process that must not have brought it back: whose registration it was the answer tells */
  readonly #back = new Map<string, Life>();
  /** nodes that an earlier process brought back, whose registration a server that stood still had held since before its end */
  readonly #late = new Set<string>();

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    this.#violate = violate;
    world.answerListeners.add(({ from, process, method, path, status }) => {
      const [, node, what] = /^\/api\/v1\/nodes\/([^/]+)\/(register|heartbeat)$/u.exec(path) ?? [];
      if (method === 'POST' && node === from && status < 300) {
        const taken = this.#taken.get(process) ?? {};
        taken[what === 'register' ? 'registeredAtMs' : 'beatAtMs'] ??= world.clock.monotonicMs();
        this.#taken.set(process, taken);
        this.#judgeReturn(node, process);
      }
    });
    chronicle.onChange(({ atMs, change: { type, object } }) => {
      if (object.kind === 'Node' && type === 'DELETED') {
        this.#noteDeletion(object.metadata.name, atMs);
      } else if (object.kind === 'Node' && type === 'ADDED') {
        this.#noteCreation(object.metadata.name);
      }
    });
  }

  /** To be called once a second. */
  tick(nodes: readonly NodeObject[], { deletions }: Pick<Ledger, 'deletions'>): void {
    for (const { metadata } of deletions.size === 0 ? [] : nodes) {
      const askedAtMs = deletions.get(metadata.name);
      const process = this.#world.machines.get(metadata.name)?.process;
      if (this.#back.has(metadata.name) || this.#late.has(metadata.name)) {
        continue;
      }
      if (askedAtMs !== undefined && process !== undefined && (this.#taken.get(process)?.beatAtMs ?? Infinity) < askedAtMs) {
        this.#violate(`promise 4: node ${metadata.name} is there though it was deleted, and its agent not started since`);
      }
    }
  }

  #noteDeletion(node: string, atMs: number): void {
    this.#back.delete(node);
    this.#late.delete(node);
    const { machines, server } = this.#world;
    const process = machines.get(node)?.process;
    const { registeredAtMs = Infinity, beatAtMs = Infinity } = (process && this.#taken.get(process)) ?? {};
    const remembersSinceMs = Math.max(server.leader?.startedAtMs ?? Infinity, server.leadsSinceMs);
    const isKnown = beatAtMs < atMs || (registeredAtMs < atMs && registeredAtMs > remembersSinceMs);
    if (process !== undefined && isKnown) {
      this.#barred.set(node, process);
    } else {
      this.#barred.delete(node);
    }
  }

  #noteCreation(node: string): void {
    const barred = this.#barred.get(node);
    if (barred !== undefined && barred === this.#world.machines.get(node)?.process) {
      this.#back.set(node, barred);
    }
    this.#barred.delete(node);
  }

  /** @param process whose registration, or beat, was just answered well */
  #judgeReturn(node: string, process: Life): void {
    const barred = this.#back.get(node);
    this.#back.delete(node);
    if (barred !== undefined && barred === process) {
      this.#violate(`promise 4: a registration brought node ${node} back, whose agent was not started since it was deleted`);
    } else if (barred !== undefined) {
      this.#late.add(node);
    }
  }
}
