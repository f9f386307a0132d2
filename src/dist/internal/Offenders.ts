/**
 * Who comes with wrong cookies, and for how long each is held up.
 *
 * A good peer at the same address is not held up by that: only the link of a failed handshake is kept open for a while, which
 * slows down who tries one cookie after the other. Addresses and links are bounded.
 *
 * @since 0.1.0
 */

/** Wrong cookies of one address that have no consequence. */
const free = 10
/** How long an address is remembered after its last wrong cookie, in milliseconds. */
const window = 10_000
/** Addresses remembered at once. */
const addressesMax = 1024
/** Links held at once; further ones are closed right away. */
const heldMax = 200
/** The longest time a link is held, in milliseconds. */
const holdMax = 4000
/** How often a report is due, in milliseconds. */
const reportEvery = 1000

/** @since 0.1.0 */
export class Offenders {
  private readonly addresses: Map<string, { count: number; last: number }> = new Map()
  private held = 0
  private unreported = 0
  private quietUntil = -Infinity

  /**
   * Counts a wrong cookie. `holdMillis` is for how long to keep its link open, after which {@link release} is called;
   * `report` is how many there were since the last report, or 0 when none is due.
   */
  record(address: string, now: number): { readonly holdMillis: number; readonly report: number } {
    let entry = this.addresses.get(address)
    if (entry === undefined || now - entry.last > window) {
      this.addresses.delete(address)
      this.addresses.set(address, entry = { count: 0, last: now })
      if (this.addresses.size > addressesMax) this.addresses.delete(this.addresses.keys().next().value!)
    }
    entry.count++
    entry.last = now
    this.unreported++
    let report = 0
    if (now >= this.quietUntil) {
      report = this.unreported
      this.unreported = 0
      this.quietUntil = now + reportEvery
    }
    if (entry.count <= free || this.held >= heldMax) return { holdMillis: 0, report }
    this.held++
    return { holdMillis: Math.min(holdMax, 1000 * (1 + Math.floor((entry.count - free) / 100))), report }
  }

  /** A link that was held is closed. */
  release(): void {
    this.held--
  }
}
