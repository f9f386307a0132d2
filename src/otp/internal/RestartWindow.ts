/**
 * The sliding window of restarts: decides when a supervisor has restarted too often.
 *
 * Guarantees OTP's rule: `intensity` restarts are allowed within `period`, the next one is refused. Every attempt that
 * is asked for is counted, also the refused one and those whose start then fails. The far edge of the window is
 * inclusive.
 *
 * Resolution: a period of whole seconds is measured as OTP measures it, in whole seconds of the clock, so that 0.999 s
 * and 5.000 s are five seconds apart and still in a period of 5 s. Any other period (500 ms, 1.5 s), which OTP does not
 * have, is measured in exact milliseconds, inclusive as well.
 *
 * Refuses to know a clock: the time comes in with each call. It is mutable and owned by one supervisor; adding is O(1)
 * amortised whatever the intensity.
 *
 * @since 0.1.0
 */

const second = 1000
const compactAt = 64

/** @since 0.1.0 */
export class RestartWindow {
  readonly intensity: number
  readonly periodMillis: number
  private readonly resolution: number
  private times: Array<number> = []
  private head = 0

  constructor(intensity: number, periodMillis: number) {
    this.intensity = intensity
    this.periodMillis = periodMillis
    this.resolution = periodMillis % second === 0 ? second : 1
  }

  /**
   * Counts a restart at a time in milliseconds; `false` when it is one too many and the supervisor must give up. The
   * time must not run backwards.
   */
  add(nowMillis: number): boolean {
    const now = Math.floor(nowMillis / this.resolution) * this.resolution
    const oldest = now - this.periodMillis
    while (this.head < this.times.length && this.times[this.head]! < oldest) this.head++
    if (this.head >= compactAt && this.head * 2 >= this.times.length) {
      this.times = this.times.slice(this.head)
      this.head = 0
    }
    this.times.push(now)
    return this.times.length - this.head <= this.intensity
  }

  /** How many restarts were in the window when the last one was counted. */
  get count(): number {
    return this.times.length - this.head
  }
}
