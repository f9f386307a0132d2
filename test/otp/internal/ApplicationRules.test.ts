/**
 * The rules of applications, over plain values.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { ExitReason } from "effect-otp"
import { startOrder, type StartType, stopsNode } from "../../../src/otp/internal/ApplicationRules.ts"

const order = (graph: { readonly [name: string]: ReadonlyArray<string> }, name: string): string =>
  Result.match(startOrder(name, (name) => graph[name]), {
    onFailure: ({ path, reason }) => `${reason} ${path.join(">")}`,
    onSuccess: (steps) => steps.map(({ name }) => name).join(" ")
  })

describe("the order of start", () => {
  it("has what is needed before what needs it, each once, in the order of the lists", () => {
    assert.strictEqual(order({ a: [] }, "a"), "a")
    assert.strictEqual(order({ a: ["b", "c"], b: ["d"], c: ["d", "b"], d: [] }, "a"), "d b c a")
  })

  it("remembers the way to each", () => {
    const steps = Result.getOrThrow(startOrder("a", (name) => ({ a: ["b", "d"], b: ["c"], c: [], d: ["c"] })[name]))
    assert.deepStrictEqual(steps.map(({ path }) => path.join(">")), ["a>b>c", "a>b", "a>d", "a"])
  })

  it("does not exist for a cycle, which is named from its first to its first member", () => {
    assert.strictEqual(order({ a: ["a"] }, "a"), "Cycle a>a")
    assert.strictEqual(order({ a: ["b"], b: ["c"], c: ["b"] }, "a"), "Cycle b>c>b")
    assert.strictEqual(order({ a: ["x", "b"], x: [], b: ["a"] }, "a"), "Cycle a>b>a")
  })

  it("does not exist without something that is needed", () => {
    assert.strictEqual(order({ a: ["b"], b: ["c"] }, "a"), "NotLoaded a>b>c")
    assert.strictEqual(order({}, "a"), "NotLoaded a")
  })
})

describe("the end of an application by itself", () => {
  const reasons: ReadonlyArray<ExitReason.ExitReason> = [
    ExitReason.normal,
    ExitReason.shutdown,
    ExitReason.shutdownWith("x"),
    ExitReason.killed,
    ExitReason.error("x")
  ]
  const takes = (type: StartType) => reasons.map((reason) => stopsNode(type, reason))

  it("[S23] stops the node when it is permanent, whatever the reason", () => {
    assert.deepStrictEqual(takes("permanent"), [true, true, true, true, true])
  })

  it("[S23] stops the node when it is transient, unless the reason is normal", () => {
    assert.deepStrictEqual(takes("transient"), [false, true, true, true, true])
  })

  it("[S23] leaves the node alone when it is temporary", () => {
    assert.deepStrictEqual(takes("temporary"), [false, false, false, false, false])
  })
})
