/** The only source of randomness. Everything else takes a `Random`. */
import { randomUUID } from 'node:crypto';

export interface Random {
  /** uniform in [0, 1) */
  next(): number;
  uuid(): string;
}

export const systemRandom: Random = { next: () => Math.random(), uuid: () => randomUUID() };

/** `value` moved by up to `fraction` of itself in either direction. */
export function jitter(random: Random, value: number, fraction: number): number {
  return value * (1 + (random.next() * 2 - 1) * fraction);
}
