/**
 * Report parts: what many machines report alike (software, sizes, conditions), kept once. Of 100,000 nodes each would otherwise have its
 * own copy of every word, 1.3 KB a node.
 *
 * Owns     the JSON of a part -> the part, frozen; at most KEPT of them. After that it begins anew: what was shared stays so.
 * Callers  node-registry.ts
 */
import type { Heartbeat } from '../../api/node.ts';
import { frozenCopyOf } from '../../store/frozen.ts';

const KEPT = 10_000; // some 3 MB: a fleet has as many kinds of machines, and more only where each measures something else

export class ReportParts {
  readonly #known = new Map<string, object>();

  /** The same report, of shared parts. */
  share<Report extends Omit<Heartbeat, 'identity'>>(report: Report): Report {
    const { info, capacity, allocatable, conditions } = report;
    return {
      ...report,
      ...(info && { info: this.#share(info) }),
      ...(capacity && { capacity: this.#share(capacity) }),
      ...(allocatable && { allocatable: this.#share(allocatable) }),
      ...(conditions && { conditions: conditions.map((condition) => this.#share(condition)) }),
    };
  }

  #share<Part extends object>(part: Part): Part {
    const key = JSON.stringify(part);
    const known = this.#known.get(key);
    if (known !== undefined) {
      return known as Part;
    }
    if (this.#known.size >= KEPT) {
      this.#known.clear();
    }
    const copy = frozenCopyOf(part);
    this.#known.set(key, copy);
    return copy;
  }
}
