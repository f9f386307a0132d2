/**
 * The incoming handshakes under way, and which of them makes room when there are too many.
 *
 * Nobody is turned away at the door: an address that has its share loses its own oldest handshake, and when all places
 * are taken the address with the most of them does. Who floods the node with silent connections takes the place of
 * itself, and a good peer, whose handshake is over within milliseconds, gets in.
 *
 * @since 0.1.0
 */

/** A handshake under way. */
export interface Pending {
  readonly address: string
  /** Ends it at once. */
  readonly close: () => void
}

/** @since 0.1.0 */
export class PendingHandshakes {
  /** How many had to make room so far. */
  evicted = 0
  private readonly max: number
  private readonly maxPerAddress: number
  private readonly addresses: Map<string, Set<Pending>> = new Map()
  private count = 0

  constructor(max: number, maxPerAddress: number) {
    this.max = max
    this.maxPerAddress = maxPerAddress
  }

  get size(): number {
    return this.count
  }

  /** Adds a handshake; another may have to make room for it. */
  add(pending: Pending): void {
    const own = this.addresses.get(pending.address)
    if (own !== undefined && own.size >= this.maxPerAddress) this.evict(own)
    else if (this.count >= this.max) this.evict(this.largest())
    const set = this.addresses.get(pending.address)
    if (set === undefined) this.addresses.set(pending.address, new Set([pending]))
    else set.add(pending)
    this.count++
  }

  /** A handshake is over. */
  delete(pending: Pending): void {
    const set = this.addresses.get(pending.address)
    if (set?.delete(pending) !== true) return
    this.count--
    if (set.size === 0) this.addresses.delete(pending.address)
  }

  /** Ends all of them. */
  closeAll(): void {
    for (const set of [...this.addresses.values()]) {
      for (const pending of [...set]) {
        this.delete(pending)
        pending.close()
      }
    }
  }

  private largest(): Set<Pending> {
    let largest: Set<Pending> | undefined
    for (const set of this.addresses.values()) {
      if (largest === undefined || set.size > largest.size) largest = set
    }
    return largest! // there is no room, so there is somebody
  }

  private evict(set: Set<Pending>): void {
    const [oldest] = set
    this.delete(oldest!)
    this.evicted++
    oldest!.close()
  }
}
