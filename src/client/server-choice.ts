/** Server choice: which of several servers is in use. Callers: transport.ts; agents and caractrl read lists of URLs by it. */
import { systemRandom, type Random } from '../base/random.ts';

/** The URLs of a list apart by commas, without the slashes at their ends. */
export function splitServerUrls(text: string): readonly string[] {
  return text
    .split(',')
    .map((url) => url.trim().replace(/(?<!\/)\/+$/u, ''))
    .filter((url) => url !== '');
}

/** That of a list which stands for all of them where one has to. */
export function firstServerUrl(text: string): string {
  return splitServerUrls(text)[0] ?? '';
}

export class ServerChoice {
  readonly #urls: readonly string[];
  readonly #random: Random;
  #index = 0;
  /** indices of those that it has not moved on to yet, in this round */
  #untried: number[] = [];

  /** Begins with the first: whoever wrote the list may have meant the order. */
  constructor(urls: string, random: Random = systemRandom) {
    this.#urls = splitServerUrls(urls);
    this.#random = random;
  }

  get current(): string {
    return this.#urls[this.#index] ?? '';
  }

  get count(): number {
    return this.#urls.length;
  }

  /**
   * Leaves `url`, if it is still the one in use, for any of the others: a fleet that leaves a server spreads over them. None is tried twice
   * before each was, as the one that works, or that leads, may be any.
   */
  moveOn(url: string): void {
    if (url !== this.current || this.#urls.length < 2) {
      return;
    }
    if (this.#untried.length === 0) {
      this.#untried = [...this.#urls.keys()].filter((index) => index !== this.#index);
    }
    const [next] = this.#untried.splice(Math.floor(this.#random.next() * this.#untried.length), 1);
    this.#index = next ?? 0;
  }
}
