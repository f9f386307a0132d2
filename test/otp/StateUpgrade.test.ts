/**
 * Chains of state schemas: every version comes up to the present one, and what does not fit is refused with a reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import { Node, StateUpgrade } from "effect-otp"
import * as Pid from "../../src/term/Pid.ts"

const V1 = Schema.Int
const V2 = Schema.Struct({ count: Schema.Int })
const V3 = Schema.Struct({ count: Schema.Int, since: Schema.DateTimeUtc, tags: Schema.Array(Schema.String) })

const start = DateTime.makeUnsafe(0)

const chain = StateUpgrade.make(V1)
  .next(V2, (count) => ({ count }))
  .next(V3, ({ count }) => ({ count, since: start, tags: [] }))

const reasonOf = (effect: Effect.Effect<unknown, StateUpgrade.UpgradeError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("a chain", () => {
  it("numbers its versions from 1, or from where it is told to", () => {
    assert.strictEqual(chain.version, 3)
    assert.deepStrictEqual(chain.versions.map(({ version }) => version), [1, 2, 3])
    assert.strictEqual(
      StateUpgrade.make(V2, { version: 7 }).next(V3, () => ({ count: 0, since: start, tags: [] })).version,
      8
    )
  })

  it("is a value: a longer chain leaves the shorter one as it was", () => {
    const short = StateUpgrade.make(V1)
    const long = short.next(V2, (count) => ({ count }))
    assert.deepStrictEqual([short.version, long.version], [1, 2])
  })

  it.effect("takes a snapshot of each version through all steps that follow", () =>
    Effect.gen(function*() {
      const up = { count: 4, since: start, tags: [] }
      assert.deepStrictEqual(yield* StateUpgrade.decode(chain, { version: 1, state: 4 }), up)
      assert.deepStrictEqual(yield* StateUpgrade.decode(chain, { version: 2, state: { count: 4 } }), up)
      assert.deepStrictEqual(
        yield* StateUpgrade.decode(chain, {
          version: 3,
          state: { count: 4, since: "1970-01-01T00:00:01.000Z", tags: ["a"] }
        }),
        { count: 4, since: DateTime.makeUnsafe(1000), tags: ["a"] }
      )
    }))

  it.effect("may have steps that are Effects", () =>
    Effect.gen(function*() {
      const effects = StateUpgrade.make(V1).next(V2, (count) => Effect.as(Effect.yieldNow, { count: count + 1 }))
      assert.deepStrictEqual(yield* StateUpgrade.decode(effects, { version: 1, state: 1 }), { count: 2 })
    }))

  it.effect("writes a state as JSON with its version, and reads it back", () =>
    Effect.gen(function*() {
      const state = { count: 4, since: DateTime.makeUnsafe(1000), tags: ["a"] }
      const snapshot = yield* StateUpgrade.encode(chain, state)
      assert.deepStrictEqual(snapshot, {
        version: 3,
        state: { count: 4, since: "1970-01-01T00:00:01.000Z", tags: ["a"] }
      })
      const stored = JSON.parse(JSON.stringify(snapshot))
      const read = yield* Schema.decodeUnknownEffect(StateUpgrade.Snapshot)(stored)
      assert.deepStrictEqual(yield* StateUpgrade.decode(chain, read), state)
    }))

  it.effect.prop("reads back whatever it has written", [V3], ([state]) =>
    Effect.gen(function*() {
      const snapshot = yield* StateUpgrade.encode(chain, state)
      const text = JSON.stringify(snapshot)
      const read = yield* StateUpgrade.decode(chain, JSON.parse(text))
      // Compared as JSON, which has no negative zero.
      assert.strictEqual(JSON.stringify(yield* StateUpgrade.encode(chain, read)), text)
    }))

  it.effect.prop(
    "comes to the same by one way and in two: from 1, and from what 1 becomes in 2",
    [V1],
    ([count]) =>
      Effect.gen(function*() {
        const direct = yield* StateUpgrade.decode(chain, { version: 1, state: count })
        const half = yield* StateUpgrade.decode(StateUpgrade.make(V1).next(V2, (count) => ({ count })), {
          version: 1,
          state: count
        })
        assert.deepStrictEqual(yield* StateUpgrade.upgrade(chain, 2, half), direct)
      })
  )
})

describe("a chain refuses", () => {
  it.effect("a version newer than its own", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* reasonOf(StateUpgrade.decode(chain, { version: 4, state: 1 })),
        new StateUpgrade.VersionTooNew({ version: 4, newest: 3 })
      )
    }))

  it.effect("a version older than its first", () =>
    Effect.gen(function*() {
      const later = StateUpgrade.make(V2, { version: 2 })
      assert.deepStrictEqual(
        yield* reasonOf(StateUpgrade.decode(later, { version: 1, state: 1 })),
        new StateUpgrade.VersionTooOld({ version: 1, oldest: 2 })
      )
      assert.strictEqual((yield* reasonOf(StateUpgrade.decode(chain, { version: 0, state: 1 })))._tag, "VersionTooOld")
    }))

  it.effect("a version that is no whole number", () =>
    Effect.gen(function*() {
      for (const version of [1.5, Number.NaN, -1, Infinity]) {
        const reason = yield* reasonOf(StateUpgrade.decode(chain, { version, state: 1 }))
        assert.include(["VersionTooNew", "VersionTooOld"], reason._tag, String(version))
      }
    }))

  it.effect("a state that does not fit its version, with the way to the part", () =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(
        StateUpgrade.decode(chain, {
          version: 3,
          state: { count: 1, since: "1970-01-01T00:00:00.000Z", tags: ["a", 2] }
        })
      )
      assert.instanceOf(reason, StateUpgrade.MalformedState)
      assert.strictEqual(reason.version, 3)
      assert.deepStrictEqual(reason.path, ["tags", "1"])
      assert.include(reason.detail, "tags")
    }))

  it.effect("and says so in words, with who, where and what to do", () =>
    Effect.gen(function*() {
      const malformed = yield* Effect.flip(StateUpgrade.decode(chain, { version: 2, state: { count: "x" } }, "counter"))
      assert.include(malformed.message, "counter")
      assert.include(malformed.message, "version 2 at count")
      assert.include(malformed.message, "OTP_MALFORMED_STATE")
      const newer = yield* Effect.flip(StateUpgrade.decode(chain, { version: 9, state: 1 }))
      assert.include(newer.message, "newer program")
    }))

  it.effect("what a step makes when it does not fit the present schema", () =>
    Effect.gen(function*() {
      const wrong = StateUpgrade.make(V1).next(V2, (count) => ({ count: count + 0.5 }))
      const reason = yield* reasonOf(StateUpgrade.decode(wrong, { version: 1, state: 1 }))
      assert.instanceOf(reason, StateUpgrade.MalformedState)
      assert.strictEqual(reason.version, 2)
      assert.deepStrictEqual(reason.path, ["count"])
    }))

  for (
    const [what, step] of [
      ["throws", (): { count: number } => {
        throw new Error("in a step")
      }],
      ["dies", () => Effect.die("in a step")],
      ["fails", () => Effect.fail("in a step")]
    ] as const
  ) {
    it.effect(`to go on when a step ${what}`, () =>
      Effect.gen(function*() {
        const broken = StateUpgrade.make(V1).next(V1, (n) => n).next(V2, step).next(V2, (state) => state)
        const error = yield* Effect.flip(StateUpgrade.decode(broken, { version: 1, state: 1 }))
        assert.instanceOf(error.reason, StateUpgrade.StepFailed)
        assert.deepStrictEqual([error.reason.from, error.reason.to], [2, 3])
        assert.include(error.message, "in a step")
      }))
  }

  it.effect("to write a state that does not fit, or has parts that live", () =>
    Effect.gen(function*() {
      const counts = StateUpgrade.make(V2)
      const reason = yield* reasonOf(StateUpgrade.encode(counts, { count: 0.5 }))
      assert.instanceOf(reason, StateUpgrade.MalformedState)
      assert.deepStrictEqual(reason.path, ["count"])
      const pids = StateUpgrade.make(Schema.Struct({ owner: Schema.instanceOf(Pid.Pid) }))
      const live = yield* reasonOf(StateUpgrade.encode(pids, { owner: new Pid.Pid("a@b", 1, 0, 1) }))
      assert.instanceOf(live, StateUpgrade.MalformedState)
    }))
})

describe("a live state", () => {
  it.effect("is checked and not copied: what lives in it stays what it is", () =>
    Effect.gen(function*() {
      const owner = new Pid.Pid("a@b", 1, 0, 1)
      const Old = Schema.Struct({ owner: Schema.instanceOf(Pid.Pid) })
      const New = Schema.Struct({ owner: Schema.instanceOf(Pid.Pid), count: Schema.Int })
      const live = StateUpgrade.make(Old).next(New, (state) => ({ ...state, count: 0 }))
      const upgraded = yield* StateUpgrade.upgrade(live, 1, { owner, extra: true })
      assert.strictEqual(upgraded.owner, owner)
      const present = { owner, count: 1 }
      assert.strictEqual(yield* StateUpgrade.upgrade(live, 2, present), present)
      const reason = yield* reasonOf(StateUpgrade.upgrade(live, 1, { owner: "nobody" }))
      assert.instanceOf(reason, StateUpgrade.MalformedState)
      assert.deepStrictEqual(reason.path, ["owner"])
    }).pipe(Effect.provide(Node.layerLocal())))
})
