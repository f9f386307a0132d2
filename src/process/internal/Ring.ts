/**
 * A growing circular buffer: the order of a mailbox.
 *
 * Push and shift are O(1) and allocate nothing but the doubling array. An emptied ring that once was large gives its
 * memory back.
 *
 * @since 0.1.0
 */

const smallest = 8
const keep = 1024

/** @since 0.1.0 */
export class Ring<A> {
  length = 0
  private items: Array<A | undefined> = new Array(smallest)
  private head = 0

  push(item: A): void {
    if (this.length === this.items.length) this.grow()
    this.items[(this.head + this.length) & (this.items.length - 1)] = item
    this.length++
  }

  shift(): A | undefined {
    if (this.length === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.length--
    if (this.length === 0 && this.items.length > keep) {
      this.items = new Array(smallest)
      this.head = 0
    }
    return item
  }

  /** The item at a position from the front. */
  at(index: number): A | undefined {
    return index < this.length ? this.items[(this.head + index) & (this.items.length - 1)] : undefined
  }

  /** Takes the first item that satisfies the predicate out of the middle, keeping the order of the rest. */
  remove(predicate: (item: A) => boolean): A | undefined {
    const mask = this.items.length - 1
    for (let i = 0; i < this.length; i++) {
      const item = this.items[(this.head + i) & mask]!
      if (!predicate(item)) continue
      for (let j = i; j > 0; j--) {
        this.items[(this.head + j) & mask] = this.items[(this.head + j - 1) & mask]
      }
      this.shift()
      return item
    }
    return undefined
  }

  private grow(): void {
    const grown = new Array<A | undefined>(this.items.length * 2)
    for (let i = 0; i < this.length; i++) grown[i] = this.items[(this.head + i) & (this.items.length - 1)]
    this.items = grown
    this.head = 0
  }
}
