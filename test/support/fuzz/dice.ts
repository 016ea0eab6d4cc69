/** Seeded chance for fuzzing: the same seed throws the same. */

export interface Dice {
  /** uniform in [0, 1) */
  next(): number;
  /** uniform in [0, below) */
  roll(below: number): number;
  chance(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
}

export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  // mulberry32: 32 bits of state are enough to tell inputs apart
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const roll = (below: number): number => Math.floor(next() * below);
  return {
    next,
    roll,
    chance: (probability) => next() < probability,
    pick: <Item>(items: readonly Item[]): Item => {
      if (items.length === 0) {
        throw new Error('Cannot pick as there is nothing to pick from');
      }
      return items[roll(items.length)] as Item;
    },
  };
}
