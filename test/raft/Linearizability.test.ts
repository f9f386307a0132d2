/**
 * The checker of histories, checked with histories whose verdict is known.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Operation, unexplained } from "./Linearizability.ts"

const write = (value: number, invoked: number, answered: number): Operation => ({
  kind: "write",
  value,
  invoked,
  answered
})
const read = (seen: number, invoked: number, answered: number): Operation => ({ kind: "read", seen, invoked, answered })
const swap = (seen: number, value: number, invoked: number, answered: number): Operation => ({
  kind: "swap",
  seen,
  value,
  invoked,
  answered
})

/** A generator of numbers from 0 up to 1 (xorshift). */
const random = (seed: number) => () => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return (seed >>> 0) / 2 ** 32
}

/** A history of clients of a real register: each operation takes effect at one moment of its time. */
const simulate = (seed: number, clients: number, operations: number): Array<Operation> => {
  const next = random(seed)
  const plans: Array<{ client: number; invoked: number; effect: number; answered: number; kind: Operation["kind"] }> =
    []
  for (let client = 0; client < clients; client++) {
    let at = next()
    for (let i = 0; i < operations; i++) {
      const effect = at + next() * 5
      const answered = effect + next() * 5
      plans.push({ client, invoked: at, effect, answered, kind: (["write", "swap", "read"] as const)[i % 3]! })
      at = answered + next()
    }
  }
  let value = 0
  let unique = 0
  return plans.sort((a, b) => a.effect - b.effect).map(({ answered, invoked, kind }) => {
    const seen = value
    if (kind === "read") return read(seen, invoked, answered)
    value = ++unique
    // A tenth of the answers is lost, whether the operation took effect or not.
    const lost = next() < 0.1
    if (lost && next() < 0.5) {
      value = seen
      return { kind, value: unique, invoked, answered: Infinity }
    }
    if (lost) return { kind, value, invoked, answered: Infinity }
    return kind === "write" ? write(value, invoked, answered) : swap(seen, value, invoked, answered)
  })
}

describe("the checker of histories", () => {
  const good: ReadonlyArray<readonly [string, ReadonlyArray<Operation>]> = [
    ["nothing at all", []],
    ["one after the other", [read(0, 0, 1), write(1, 2, 3), read(1, 4, 5), swap(1, 2, 6, 7), read(2, 8, 9)]],
    ["a read during a write sees either", [write(1, 0, 10), read(0, 1, 2), read(1, 3, 4)]],
    ["writes under way in any order", [write(1, 0, 10), write(2, 0, 10), read(2, 1, 2), read(1, 3, 4)]],
    ["a write without an answer that happened later", [write(1, 0, Infinity), read(0, 1, 2), read(1, 50, 51)]],
    ["a write without an answer that never happened", [write(1, 0, Infinity), read(0, 1, 2), read(0, 50, 51)]],
    ["a swap without an answer between two reads", [
      { kind: "swap", value: 1, invoked: 0, answered: Infinity },
      read(0, 1, 2),
      read(1, 3, 4)
    ]]
  ]
  for (const [name, history] of good) {
    it(`explains ${name}`, () => assert.isUndefined(unexplained(history)))
  }

  const bad: ReadonlyArray<readonly [string, ReadonlyArray<Operation>]> = [
    ["a stale read", [write(1, 0, 1), read(0, 2, 3)]],
    ["a read that goes back", [write(1, 0, 10), read(1, 1, 2), read(0, 3, 4)]],
    ["a value from nowhere", [read(7, 0, 1)]],
    ["a value from the future", [read(1, 0, 1), write(1, 2, 3)]],
    ["a lost write", [write(1, 0, 1), swap(0, 2, 2, 3)]],
    ["a swap that was carried out twice", [swap(1, 1, 0, 1)]],
    ["two swaps that saw the same", [swap(0, 1, 0, 10), swap(0, 2, 0, 10)]],
    ["readers that disagree on the order of two writes", [
      write(1, 0, 1),
      write(2, 0, 1),
      read(1, 2, 3),
      read(2, 4, 5)
    ]],
    ["a write without an answer that is undone", [
      write(1, 0, 1),
      write(2, 2, Infinity),
      read(2, 3, 4),
      read(1, 5, 6)
    ]]
  ]
  for (const [name, history] of bad) {
    it(`finds ${name}`, () => assert.isDefined(unexplained(history)))
  }

  it("explains what clients of a register saw, for 300 seeds, and finds a changed answer", () => {
    let found = 0
    for (let seed = 1; seed <= 300; seed++) {
      const history = simulate(seed, 4, 40)
      assert.isUndefined(unexplained(history), `seed ${seed}`)
      // A read is made to see what was long gone. What never happened at all is no answer either.
      const reads = history.flatMap(({ answered, kind }, i) => kind === "read" && answered !== Infinity ? [i] : [])
      const i = reads.at(-1)!
      if (unexplained(history.with(i, { ...history[i]!, seen: 0 })) !== undefined) found++
    }
    assert.strictEqual(found, 300)
  })
})
