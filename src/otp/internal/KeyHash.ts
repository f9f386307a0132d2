/**
 * From a key to one of many places: the same place for the same key, in every process, on every node, in every run.
 *
 * The hash is this file's own, so that no upgrade of a dependency moves a key. Neither function remembers anything.
 *
 * @since 0.1.0
 */

/**
 * What messages can be distributed by. Two keys are the same when they print alike: `1` and `1n` are, `1` and `"1"` are
 * not.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = string | number | bigint | boolean

const prime = 0x01000193

/** An unsigned hash of 32 bits. */
export const hashOf = (key: Key): number => {
  const text = typeof key === "string" ? `"${key}` : String(key)
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), prime)
    hash = Math.imul(hash ^ (unit >>> 8), prime)
  }
  // The low bits of a multiplicative hash are weak; this spreads the high ones over them.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39)
  return (hash ^ (hash >>> 15)) >>> 0
}

/**
 * The place of a key among a fixed number of places: an integer by its remainder, so that neighbours are spread evenly,
 * anything else by its hash.
 */
export const partitionOf = (key: Key, places: number): number => {
  if (typeof key === "bigint") return Number((key < 0n ? -key : key) % BigInt(places))
  return typeof key === "number" && Number.isSafeInteger(key) ? Math.abs(key) % places : hashOf(key) % places
}

/**
 * The place of a key among a number of places that changes: when it grows from n to n + 1, a key stays where it is or
 * moves to the new place, and one in n + 1 moves.
 *
 * The key is the seed of a series of jumps to ever higher places; the last jump that stays in range is its place.
 */
export const jumpTo = (key: Key, places: number): number => {
  let seed = hashOf(key)
  let place = 0
  let jump = 0
  while (jump < places) {
    place = jump
    seed = (seed + 0x9e3779b9) >>> 0
    let mixed = Math.imul(seed ^ (seed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    // In (0, 1]: the next place that takes the key away is as likely as keys may move.
    const chance = (((mixed ^ (mixed >>> 15)) >>> 0) + 1) / 2 ** 32
    jump = Math.floor((place + 1) / chance)
  }
  return place
}
