import { assert, describe, it } from "@effect/vitest"
import * as DistFlags from "effect-otp/dist/DistFlags"

describe("DistFlags", () => {
  it("what is offered is what a node of OTP 28 offers", () => {
    assert.strictEqual(DistFlags.offer(), 0x2D07DF7FBDn)
    assert.strictEqual(DistFlags.offer({ hidden: true }), 0x2D07DF7FBCn)
  })

  it("one flag stands for the mandatory ones", () => {
    const short = DistFlags.flags.mandatory25Digest | DistFlags.flags.unlinkId | DistFlags.flags.v4Nc
    assert.deepStrictEqual(DistFlags.missing(DistFlags.expand(short)), [])
    assert.include(DistFlags.missing(short), "bigCreation")
  })

  it("a node of OTP 23 lacks big pids, one of 25 lacks nothing", () => {
    assert.deepStrictEqual(DistFlags.missing(DistFlags.expand(0x101DF7FBDn)), ["unlinkId", "v4Nc"])
    assert.deepStrictEqual(DistFlags.missing(DistFlags.expand(0xD07DF7FBDn)), [])
  })
})
