/** Promise 7: someone who lists and watches Projects over a bad line sees every change once, in order, without gap. */
import type { FetchFunction } from '../../../src/client/transport.ts';
import { Life } from '../world/life.ts';
import { connectLine, GOOD_LINE, type Line } from '../world/sim-network.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const SILENCE_MS = 40_000; // bookmarks come every 15 s
const RETRY_MS = 2000;

interface WatchLine {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: { readonly metadata?: { readonly name?: string; readonly resourceVersion: string } };
}

/** Of agents: each watch goes on from what it was told. One that asks for what is yet to come would miss whatever comes first. */
export function checkWatches({ machines, store, answerListeners }: World, violate: (text: string) => void): void {
  answerListeners.add(({ from, path }) => {
    const asked = Number(/[?&]resourceVersion=(\d+)/u.exec(path)?.[1] ?? 0);
    if (asked > 0 && machines.has(from)) {
      void store.version().then((newest) => {
        if (asked > newest) {
          violate(`promise 7: ${from} watches from ${asked} on, where ${newest} is the newest there is`);
        }
      });
    }
  });
}

export class WatchChecker {
  readonly line: Line;
  readonly #world: World;
  readonly #chronicle: Chronicle;
  readonly #violate: (text: string) => void;
  readonly #life = new Life();
  readonly #fetch: FetchFunction;
  /** the version up to which it has seen everything */
  #seen = 0;
  lines = 0;

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    this.#chronicle = chronicle;
    this.#violate = violate;
    this.line = { ...GOOD_LINE, name: 'watcher', random: world.random.fork('watcher') };
    this.#fetch = connectLine(world.network, this.line, this.#life);
  }

  end(): void {
    this.#life.end();
  }

  /** Goes on until it is ended. */
  async run(): Promise<never> {
    const { clock } = this.#world;
    const { signal } = this.#life;
    for (let isListed = false; ;) {
      try {
        if (!isListed) {
          const list = JSON.parse(await this.#read('', 10_000)) as { readonly metadata: { readonly resourceVersion: string } };
          this.#seen = Number(list.metadata.resourceVersion);
          isListed = true;
        }
        await this.#watch();
      } catch (error) {
        isListed &&= !String(error).includes('410');
      }
      await this.#life.guard(clock.sleep(RETRY_MS, signal));
    }
  }

  /** Any server: what was seen at one goes on at another. */
  #pickUrl(): string {
    return this.line.random.pick(this.#world.server.urls);
  }

  async #read(query: string, timeoutMs: number): Promise<string> {
    const ended = new AbortController();
    const timer = this.#world.clock.sleep(timeoutMs, ended.signal).then(
      () => ended.abort(new Error('timeout')),
      () => undefined,
    );
    try {
      const answer = await this.#fetch(`${this.#pickUrl()}/api/v1/projects${query}`, requestOf(ended.signal));
      return await answer.text();
    } finally {
      ended.abort();
      await timer;
    }
  }

  async #watch(): Promise<void> {
    const ended = new AbortController();
    const answer = await this.#fetch(
      `${this.#pickUrl()}/api/v1/projects?watch=true&resourceVersion=${this.#seen}`,
      requestOf(ended.signal),
    );
    if (answer.status !== 200) {
      throw new Error(String(answer.status));
    }
    let heardAtMs = this.#world.clock.monotonicMs();
    const guard = (async () => {
      while (!ended.signal.aborted) {
        await this.#world.clock.sleep(5000, ended.signal).catch(() => undefined);
        if (this.#world.clock.monotonicMs() - heardAtMs > SILENCE_MS) {
          ended.abort(new Error('silence'));
        }
      }
    })();
    try {
      let rest = '';
      for await (const chunk of answer.body ?? []) {
        heardAtMs = this.#world.clock.monotonicMs();
        const parts = `${rest}${Buffer.from(chunk).toString()}`.split('\n');
        rest = parts.pop() ?? '';
        parts.forEach((part) => this.#take(JSON.parse(part) as WatchLine));
      }
    } finally {
      ended.abort();
      await guard;
    }
  }

  #take({ type, object }: WatchLine): void {
    this.lines += 1;
    if (type === 'ERROR') {
      throw new Error('410');
    }
    const version = Number(object.metadata?.resourceVersion);
    const next = this.#chronicle.findAfter('Project', this.#seen)?.change;
    const isBookmark = type === 'BOOKMARK';
    if (isBookmark ? next !== undefined && next.version <= version : next?.version !== version) {
      const due = next === undefined ? 'nothing' : `${next.type} ${next.object.metadata.name} ${next.version}`;
      this.#violate(`promise 7: after ${this.#seen} a watcher saw ${type} ${object.metadata?.name ?? ''} ${version}, where ${due} was due`);
    }
    this.#seen = Math.max(this.#seen, version);
  }
}

function requestOf(signal: AbortSignal) {
  return { method: 'GET', headers: {}, redirect: 'error', signal } as const;
}
