/** Times as text, each written once: where a fleet falls silent, beats or is given Projects, many share a millisecond. */

const KEPT = 64;

export class TimeTexts {
  /** place: the time modulo KEPT */
  readonly #known: ({ readonly ms: number; readonly text: string } | undefined)[] = [];

  /** @param ms wall clock, whole @returns RFC 3339 in UTC */
  write(ms: number): string {
    const place = Math.abs(ms) % KEPT;
    const known = this.#known[place];
    if (known?.ms === ms) {
      return known.text;
    }
    const text = new Date(ms).toISOString();
    this.#known[place] = { ms, text };
    return text;
  }
}
