/**
 * Image ledger: which images this agent brought onto the engine, and which its Projects use and used before.
 *
 * Owns     DATA_DIR/images.json and its content in memory. A file that cannot be read counts as empty: then nothing was brought by us,
 *          and nothing is cleaned up. An agent killed before a pull is written down leaves that image there for good.
 * Never    blocks who changes it: a loop writes, and only what changed.
 * Callers  image-keeping.ts makes it, and notes pulls; compose/supervise.ts notes what containers use; image-cleaner.ts reads and forgets.
 */
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { Outage } from '../outage.ts';

const KEPT_PER_SERVICE = 2; // what it uses, and what it used before

interface Content {
  readonly format: 1;
  /** image id -> references under which it was pulled */
  readonly pulled: Readonly<Record<string, readonly string[]>>;
  /** Project's uid -> service -> image ids, latest first */
  readonly used: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export interface UsedImage {
  readonly imageId: string;
  readonly owner: { readonly projectUid: string; readonly service: string };
}

export interface ImageLedgerOptions {
  readonly path: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class ImageLedger {
  readonly #options: ImageLedgerOptions;
  readonly #wakeup = new Wakeup();
  /** image id -> references under which it was pulled */
  readonly #pulled = new Map<string, readonly string[]>();
  /** image id -> monotonic ms of its last pull by this process */
  readonly #pulledAtMs = new Map<string, number>();
  /** Project's uid -> service -> image ids, latest first */
  readonly #used = new Map<string, Map<string, readonly string[]>>();
  #written: string | undefined;

  constructor(options: ImageLedgerOptions) {
    this.#options = options;
  }

  /** Image id -> references under which it was pulled. */
  get pulled(): ReadonlyMap<string, readonly string[]> {
    return this.#pulled;
  }

  /** Takes in what an earlier run has noted. */
  async read(): Promise<void> {
    const { path, disk, log } = this.#options;
    try {
      const text = await disk.readText(path);
      if (text === undefined) {
        return;
      }
      const content = JSON.parse(text) as Content;
      if (content.format !== 1) {
        throw new Error(`its format is ${String(content.format)}`);
      }
      const used = Object.entries(content.used).map(([uid, services]) => [uid, new Map(Object.entries(services))] as const);
      // last: without what is used nothing may count as ours
      Object.entries(content.pulled).forEach(([id, references]) => this.#pulled.set(id, references));
      used.forEach(([uid, services]) => this.#used.set(uid, services));
      this.#written = this.#content();
    } catch (error) {
      log.warn({ path, detail: String(error) }, 'image ledger cannot be read: images pulled before are never cleaned up');
    }
  }

  notePull(reference: string, imageId: string): void {
    const references = new Set([...(this.#pulled.get(imageId) ?? []), reference]);
    this.#pulled.set(imageId, [...references]);
    this.#pulledAtMs.set(imageId, this.#options.clock.monotonicMs());
    this.#wakeup.notify();
  }

  /** Takes in the containers of a Project as they are now. */
  noteUse(containers: readonly UsedImage[]): void {
    const present = Map.groupBy(containers, ({ owner }) => `${owner.projectUid} ${owner.service}`);
    for (const group of present.values()) {
      const { projectUid, service } = group[0]?.owner ?? { projectUid: '', service: '' };
      const services = this.#used.get(projectUid) ?? new Map<string, readonly string[]>();
      const before = services.get(service) ?? [];
      const ids = [...new Set(group.map(({ imageId }) => imageId))];
      const isNews = ids.some((id) => !before.includes(id)) || (ids.length === 1 && before[0] !== ids[0]);
      if (isNews) {
        const fresh = ids.length === 1 ? ids : ids.filter((id) => !before.includes(id));
        const next = [...fresh, ...before.filter((id) => !fresh.includes(id))].slice(0, Math.max(KEPT_PER_SERVICE, ids.length));
        this.#used.set(projectUid, services.set(service, next));
        this.#wakeup.notify();
      }
    }
  }

  /** Ids of the images that these Projects use, and used before. */
  usedBy(uids: ReadonlySet<string>): ReadonlySet<string> {
    const services = [...this.#used].flatMap(([uid, byService]) => (uids.has(uid) ? [...byService.values()] : []));
    return new Set(services.flat());
  }

  /** Ids of the images pulled at `sinceMs` or later. */
  pulledSince(sinceMs: number): ReadonlySet<string> {
    return new Set([...this.#pulledAtMs].flatMap(([id, atMs]) => (atMs >= sinceMs ? [id] : [])));
  }

  /** Forgets the Projects and images that are no longer here. */
  keepOnly({ uids, imageIds }: { readonly uids: ReadonlySet<string>; readonly imageIds: ReadonlySet<string> }): void {
    [...this.#used.keys()].filter((uid) => !uids.has(uid)).forEach((uid) => this.#used.delete(uid));
    for (const id of [...this.#pulled.keys()].filter((pulled) => !imageIds.has(pulled))) {
      this.#pulled.delete(id);
      this.#pulledAtMs.delete(id);
    }
    this.#wakeup.notify();
  }

  /** Writes what changes until aborted, and once more then. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = new Backoff({ baseMs: 1000, capMs: 30_000 }, random);
    const outage = new Outage(log, clock, 'image ledger');
    let waitMs = Infinity;
    for (;;) {
      await this.#wakeup.wait(clock, waitMs, signal).catch(() => undefined); // aborted: the last change is still to be written
      try {
        await this.#flush();
        outage.recovered();
        backoff.reset();
        waitMs = Infinity;
      } catch (error) {
        outage.failed(error);
        waitMs = backoff.nextMs();
      }
      if (signal.aborted) {
        return;
      }
    }
  }

  async #flush(): Promise<void> {
    const content = this.#content();
    if (content !== this.#written) {
      await this.#options.disk.writeText(this.#options.path, content);
      this.#written = content;
    }
  }

  #content(): string {
    const used = [...this.#used].map(([uid, services]) => [uid, Object.fromEntries(services)] as const);
    const content: Content = { format: 1, pulled: Object.fromEntries(this.#pulled), used: Object.fromEntries(used) };
    return `${JSON.stringify(content)}\n`;
  }
}
