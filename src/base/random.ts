/** The only source of randomness. Everything else takes a `Random`. */
export interface Random {
  /** uniform in [0, 1) */
  next(): number;
  uuid(): string;
}

// the global, not node:crypto: it is loaded when it is first used, and a command that needs no UUID starts 4 ms sooner
export const systemRandom: Random = { next: () => Math.random(), uuid: () => globalThis.crypto.randomUUID() };

/** `value` moved by up to `fraction` of itself in either direction. */
export function jitter(random: Random, value: number, fraction: number): number {
  return value * (1 + (random.next() * 2 - 1) * fraction);
}
