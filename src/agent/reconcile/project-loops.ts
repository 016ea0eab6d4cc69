/**
 * Project loops: one loop a Project's name, so that an earlier Project of the name and the present one never act side by side.
 *
 * Owns     the loops, and which of them have yet to end: the next of a name waits for the one before.
 * Never    decides what a Project is to become: whoever sets its order does.
 * Callers  reconciler.ts.
 */
import type { Stopper } from '../../base/stopper.ts';
import type { ProjectLoop } from './project-loop.ts';
import type { Order } from './target-keeper.ts';

interface Member {
  readonly loop: ProjectLoop;
  readonly controller: AbortController;
}

export class ProjectLoops {
  readonly #create: (name: string, order: Order) => ProjectLoop;
  /** Project name -> its loop. */
  readonly #members = new Map<string, Member>();
  /** Project name -> resolves when its last loop has ended. */
  readonly #ended = new Map<string, Promise<void>>();
  #stopper: Stopper | undefined;

  constructor(create: (name: string, order: Order) => ProjectLoop) {
    this.#create = create;
  }

  find(name: string): ProjectLoop | undefined {
    return this.#members.get(name)?.loop;
  }

  names(): ReadonlySet<string> {
    return new Set(this.#members.keys());
  }

  all(): readonly (readonly [name: string, loop: ProjectLoop])[] {
    return [...this.#members].map(([name, { loop }]) => [name, loop] as const);
  }

  /** Runs the loops that are there, and from now on each that comes. */
  begin(stopper: Stopper): void {
    this.#stopper = stopper;
    for (const [name, member] of this.#members) {
      this.#start(name, member);
    }
  }

  /** Runs no further loops; those that run end with their stopper. */
  end(): void {
    this.#stopper = undefined;
  }

  /** Says what a Project is to become; it has a loop from now on. */
  setOrder(name: string, order: Order): ProjectLoop {
    const member = this.#members.get(name);
    if (member === undefined) {
      return this.#add(name, order);
    }
    member.loop.setOrder(order);
    return member.loop;
  }

  /** Lets go of a Project without touching what runs of it. */
  drop(name: string): void {
    this.#members.get(name)?.controller.abort(new DOMException('Unassigned', 'AbortError'));
    this.#members.delete(name);
  }

  /** Nothing of the Project is left: its loop ends by itself. */
  forget(name: string): void {
    this.#members.delete(name);
  }

  /** Runs `act` while no loop of the Project's name does anything. One that is there begins anew afterwards, as after a restart of the agent. */
  async whileStill<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    const member = this.#members.get(name);
    const before = this.#ended.get(name);
    const markEnded = this.#noteUnended(name); // what is assigned meanwhile waits for it
    member?.controller.abort(new DOMException('Held up', 'AbortError'));
    try {
      await before;
      return await act();
    } finally {
      if (member !== undefined && this.#members.get(name) === member) {
        this.#add(name, member.loop.order);
      }
      markEnded();
    }
  }

  #add(name: string, order: Order): ProjectLoop {
    const member = { loop: this.#create(name, order), controller: new AbortController() };
    this.#members.set(name, member);
    this.#start(name, member);
    return member.loop;
  }

  /** Starts a loop, unless it is too early for any. */
  #start(name: string, { loop, controller }: Member): void {
    const stopper = this.#stopper;
    if (stopper === undefined) {
      return;
    }
    const before = this.#ended.get(name);
    const markEnded = this.#noteUnended(name);
    stopper.spawn(`project ${name}`, async (signal) => {
      const stop = (): void => controller.abort(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      try {
        await before;
        await loop.run(controller.signal);
      } finally {
        signal.removeEventListener('abort', stop);
        markEnded();
      }
    });
  }

  /** @returns to be called when it has ended */
  #noteUnended(name: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended.set(name, promise);
    return () => {
      resolve();
      if (this.#ended.get(name) === promise) {
        this.#ended.delete(name);
      }
    };
  }
}
