/**
 * Who of a pool gets the next message, decided over plain values.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Candidate, PoolDispatch, shareOf, workerOf } from "../../../src/otp/internal/PoolDispatch.ts"

interface Worker extends Candidate {
  readonly name: string
}

const worker = (name: string, options: Partial<Worker> = {}): { readonly worker: Worker } => ({
  worker: { name, alive: true, mailboxLength: 0, capacity: 3, load: 0, fiber: name, ...options }
})

const gone = { worker: undefined }
const dead = (name: string) => worker(name, { alive: false })
const full = (name: string, load = 3) => worker(name, { mailboxLength: 3, load })

/** Who gets each of a number of messages. */
const rounds = (
  dispatch: PoolDispatch<Worker>,
  places: ReadonlyArray<{ readonly worker: Worker | undefined }>,
  messages: number,
  sender?: string
): string => Array.from({ length: messages }, () => dispatch.choose(places, sender)?.name ?? "-").join("")

describe("round robin", () => {
  it("begins with the first worker and goes on in turn", () => {
    assert.strictEqual(rounds(new PoolDispatch("round_robin"), [worker("a"), worker("b"), worker("c")], 7), "abcabca")
  })

  it("passes over workers that are gone, dead or full", () => {
    const places = [gone, worker("b"), full("c"), dead("d"), worker("e")]
    assert.strictEqual(rounds(new PoolDispatch("round_robin"), places, 5), "bebeb")
  })

  it("takes turns among the living when all of them are full", () => {
    assert.strictEqual(rounds(new PoolDispatch("round_robin"), [full("a"), dead("b"), full("c")], 4), "acac")
  })

  it("has nobody when nobody is alive", () => {
    assert.strictEqual(rounds(new PoolDispatch("round_robin"), [gone, dead("b")], 2), "--")
    assert.strictEqual(rounds(new PoolDispatch("round_robin"), [], 1), "-")
  })

  it("passes over the sender, unless it is the only one", () => {
    const dispatch = new PoolDispatch<Worker>("round_robin")
    assert.strictEqual(rounds(dispatch, [worker("a"), worker("b"), worker("c")], 4, "b"), "acac")
    assert.strictEqual(rounds(dispatch, [dead("a"), worker("b")], 2, "b"), "bb")
  })

  it("goes on with the first when there are fewer places than before", () => {
    const dispatch = new PoolDispatch<Worker>("round_robin")
    rounds(dispatch, [worker("a"), worker("b"), worker("c")], 2)
    assert.strictEqual(rounds(dispatch, [worker("a"), worker("b")], 3), "aba")
  })

  it.prop("is fair: of n living workers with room each gets its share", [
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
  ], ([count, messages]) => {
    const names = [..."abcdefgh"].slice(0, count)
    const got = rounds(new PoolDispatch("round_robin"), names.map((name) => worker(name)), messages)
    const shares = names.map((name) => [...got].filter((other) => other === name).length)
    assert.isAtMost(Math.max(...shares) - Math.min(...shares), 1)
  })
})

describe("least loaded", () => {
  it("chooses the one with the least to do", () => {
    const places = [worker("a", { load: 2 }), worker("b", { load: 1 }), worker("c", { load: 3 })]
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), places, 3), "bbb")
  })

  it("begins with the first and takes turns among equals", () => {
    const busy = { load: 1 }
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), [worker("a"), worker("b"), worker("c")], 5), "abcab")
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), [worker("a", busy), worker("b", busy)], 4), "abab")
  })

  it("prefers whoever has room, however much that one has to do", () => {
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), [full("a", 1), worker("b", { load: 9 })], 2), "bb")
  })

  it("takes a full one when all are full, and nobody when nobody is alive", () => {
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), [dead("a"), full("b")], 1), "b")
    assert.strictEqual(rounds(new PoolDispatch("least_loaded"), [dead("a"), gone], 1), "-")
  })

  it("passes over the sender, unless it is the only one", () => {
    const dispatch = new PoolDispatch<Worker>("least_loaded")
    assert.strictEqual(rounds(dispatch, [worker("a"), worker("b", { load: 5 })], 2, "a"), "bb")
    assert.strictEqual(rounds(dispatch, [worker("a")], 1, "a"), "a")
  })
})

describe("the worker of a key", () => {
  it("is the same whatever it has to do, and nobody while its place is empty", () => {
    const places = [worker("a"), worker("b"), worker("c")]
    const name = workerOf(places, "key")!.name
    assert.strictEqual(workerOf(places.map(({ worker: { name } }) => full(name)), "key")!.name, name)
    assert.isUndefined(workerOf(places.map(({ worker: { name } }) => dead(name)), "key"))
    assert.isUndefined(workerOf([], "key"))
  })
})

describe("the share of a bound", () => {
  it.prop("adds up to the bound when there is at least 1 for each", [
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })),
    Schema.Int.check(Schema.isBetween({ minimum: 20, maximum: 1000 }))
  ], ([places, bound]) => {
    const shares = Array.from({ length: places }, (_, place) => shareOf(bound, places, place))
    assert.strictEqual(shares.reduce((sum, share) => sum + share, 0), bound)
    assert.isAtMost(Math.max(...shares) - Math.min(...shares), 1)
  })

  it("is at least 1, and no bound stays none", () => {
    assert.strictEqual(shareOf(2, 3, 2), 1)
    assert.strictEqual(shareOf(Infinity, 3, 0), Infinity)
  })
})
