/**
 * The encodings of atoms that are written again and again, as words: writing one is a few stores instead of a look at each
 * character.
 *
 * The table is as large as it is, whatever is written: an atom that finds its place taken is spelled, and takes the place
 * over when that has happened often.
 *
 * @since 0.1.0
 */

/** An atom in ASCII, with its tag and length. */
export interface KnownAtom {
  readonly name: string
  /** Its bytes, and zeros behind them, four to a word. */
  readonly words: ReadonlyArray<number>
  /** How many bytes there are. */
  readonly length: number
}

/** A power of two. */
const places = 256
/** Longer names are spelled. */
const lengthMax = 64
/** So often is a known atom in the way of others before it makes place. */
const patience = 64

const table: Array<KnownAtom | undefined> = new Array<KnownAtom | undefined>(places).fill(undefined)
const patienceLeft = new Uint8Array(places)

/** What is known of an atom; undefined for one that is to be spelled. */
export const knownAtom = (name: string): KnownAtom | undefined => {
  const { length } = name
  if (length === 0) return undefined
  const place = (length * 37 + name.charCodeAt(0) + name.charCodeAt(length - 1) * 5) & (places - 1)
  const there = table[place]
  return there !== undefined && there.name === name ? there : learn(name, place)
}

const learn = (name: string, place: number): KnownAtom | undefined => {
  if (patienceLeft[place]! > 0) {
    patienceLeft[place]!--
    return undefined
  }
  const { length } = name
  if (length > lengthMax) return undefined
  const words: Array<number> = new Array<number>((length + 5) >> 2).fill(0)
  const put = (at: number, byte: number): void => {
    words[at >> 2]! |= byte << (24 - 8 * (at & 3))
  }
  put(0, 119)
  put(1, length)
  for (let i = 0; i < length; i++) {
    const unit = name.charCodeAt(i)
    if (unit > 127) return undefined
    put(2 + i, unit)
  }
  patienceLeft[place] = patience
  return table[place] = { name, words, length: length + 2 }
}
