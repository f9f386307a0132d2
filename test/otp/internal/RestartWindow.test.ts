import { assert, describe, it } from "@effect/vitest"
import { RestartWindow } from "../../../src/otp/internal/RestartWindow.ts"

const allowed = (intensity: number, period: number, times: ReadonlyArray<number>): ReadonlyArray<boolean> => {
  const window = new RestartWindow(intensity, period)
  return times.map((time) => window.add(time))
}

describe("RestartWindow", () => {
  it("[S1] allows exactly the intensity and refuses the next", () => {
    assert.deepStrictEqual(allowed(3, 5000, [0, 0, 0, 0]), [true, true, true, false])
    assert.deepStrictEqual(allowed(1, 5000, [0, 0]), [true, false])
    assert.deepStrictEqual(allowed(0, 5000, [0]), [false])
  })

  it("[S1] slides: old restarts leave one by one", () => {
    assert.deepStrictEqual(allowed(2, 5000, [0, 3000, 6000, 9000, 9000]), [true, true, true, true, false])
  })

  it("[S1] counts whole seconds, the boundary inclusive", () => {
    assert.deepStrictEqual(allowed(1, 5000, [0, 5000]), [true, false])
    assert.deepStrictEqual(allowed(1, 5000, [0, 5999]), [true, false])
    assert.deepStrictEqual(allowed(1, 5000, [0, 6000]), [true, true])
    // 5.001 s apart, but six seconds by the clock's whole seconds.
    assert.deepStrictEqual(allowed(1, 5000, [999, 6000]), [true, true])
  })

  it("measures periods that are not whole seconds to the millisecond, the boundary inclusive", () => {
    assert.deepStrictEqual(allowed(1, 500, [0, 500]), [true, false])
    assert.deepStrictEqual(allowed(1, 500, [0, 501]), [true, true])
    assert.deepStrictEqual(allowed(1, 1500, [999, 2499]), [true, false])
    assert.deepStrictEqual(allowed(1, 1500, [999, 2500]), [true, true])
  })

  it("never forgets with an infinite period", () => {
    assert.deepStrictEqual(allowed(1, Infinity, [0, 1e15]), [true, false])
  })

  it("equals the definition for random times", () => {
    let state = 7
    const below = (
      n: number
    ): number => (state = Math.imul(state, 1103515245) + 12345 >>> 0, Math.floor(state / 0x1_0000_0000 * n))
    for (let round = 0; round < 500; round++) {
      const intensity = below(5)
      const seconds = 1 + below(4)
      const window = new RestartWindow(intensity, seconds * 1000)
      const times: Array<number> = []
      for (let i = 0, now = 0; i < 200; i++) {
        now += below(3) === 0 ? below(4000) : below(300)
        times.push(now)
        const second = Math.floor(now / 1000)
        const recent = times.filter((time) => second - Math.floor(time / 1000) <= seconds).length
        if (window.add(now) !== (recent <= intensity) || window.count !== recent) {
          assert.fail(
            `intensity ${intensity}, period ${seconds} s: ${window.count} and not ${recent} of ${times.join(" ")}`
          )
        }
      }
    }
  })

  it("stays small however many restarts there were", () => {
    const window = new RestartWindow(1_000_000, 1000)
    for (let i = 0; i < 300_000; i++) window.add(i)
    assert.isTrue(window.count <= 2000)
    assert.isTrue((window as unknown as { readonly times: ReadonlyArray<number> }).times.length < 10_000)
  })
})
