/**
 * Generates numbers in [0, 1) from a seed (mulberry32). @see
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Picks an element by a number in [0, 1); undefined from an empty list. */
export function pick<T>(from: readonly T[], fraction: number): T | undefined {
  return from[Math.floor(fraction * from.length)];
}

/** Picks an element with a probability in proportion to its weight. */
export function pickWeighted<T extends { weight: number }>(from: readonly T[], fraction: number): T {
  let left = fraction * from.reduce((sum, { weight }) => sum + weight, 0);
  for (const choice of from) {
    left -= choice.weight;
    if (left < 0) return choice;
  }
  return from.at(-1)!;
}
