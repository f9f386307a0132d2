/**
 * A table from numbers to values, for what comes and goes with every call.
 *
 * A `Map` with as many deletions as insertions is rebuilt again and again, and each of its old tables points to the next
 * one: the collector of young objects then keeps everything that ever stood in it until the next full collection. Here
 * a slot is simply free again. Numbers that share a slot, which running numbers seldom do, stand in a `Map`.
 *
 * @since 0.1.0
 */

const initialSlots = 16
/** A table with more slots than this shrinks when it is empty. */
const keepSlots = 4096

/** @since 0.1.0 */
export class NumberTable<V> {
  size = 0
  private keys: Array<number> = new Array<number>(initialSlots).fill(0)
  private slots: Array<V | undefined> = new Array<V | undefined>(initialSlots).fill(undefined)
  private readonly others: Map<number, V> = new Map()

  get(key: number): V | undefined {
    const at = key & (this.slots.length - 1)
    const value = this.slots[at]
    if (value !== undefined && this.keys[at] === key) return value
    return this.others.size === 0 ? undefined : this.others.get(key)
  }

  set(key: number, value: V): void {
    if (this.size >= this.slots.length) this.resize(this.slots.length * 2)
    const at = key & (this.slots.length - 1)
    const there = this.slots[at]
    if (there !== undefined) {
      if (this.keys[at] === key) {
        this.slots[at] = value
        return
      }
      const before = this.others.size
      this.others.set(key, value)
      this.size += this.others.size - before
      return
    }
    // The slot is free now, but the key may have come when it was not.
    if (this.others.size > 0 && this.others.has(key)) {
      this.others.set(key, value)
      return
    }
    this.keys[at] = key
    this.slots[at] = value
    this.size++
  }

  delete(key: number): boolean {
    const at = key & (this.slots.length - 1)
    if (this.slots[at] !== undefined && this.keys[at] === key) this.slots[at] = undefined
    else if (this.others.size === 0 || !this.others.delete(key)) return false
    if (--this.size === 0 && this.slots.length > keepSlots) this.resize(initialSlots)
    return true
  }

  *values(): Generator<V, void> {
    for (const value of this.slots) if (value !== undefined) yield value
    yield* this.others.values()
  }

  private resize(count: number): void {
    const { keys, slots } = this
    const others = [...this.others]
    this.others.clear()
    this.keys = new Array<number>(count).fill(0)
    this.slots = new Array<V | undefined>(count).fill(undefined)
    this.size = 0
    slots.forEach((value, at) => {
      if (value !== undefined) this.set(keys[at]!, value)
    })
    for (const [key, value] of others) this.set(key, value)
  }
}
