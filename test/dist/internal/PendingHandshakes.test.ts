import { assert, describe, it } from "@effect/vitest"
import { type Pending, PendingHandshakes } from "../../../src/dist/internal/PendingHandshakes.ts"

const make = (max: number, perAddress: number) => {
  const closed: Array<string> = []
  const table = new PendingHandshakes(max, perAddress)
  const add = (address: string, name: string): Pending => {
    const pending = { address, close: () => void closed.push(name) }
    table.add(pending)
    return pending
  }
  return { table, closed, add }
}

describe("PendingHandshakes", () => {
  it("an address with its full share loses its own oldest", () => {
    const { add, closed, table } = make(100, 3)
    add("good", "g1")
    for (let i = 1; i <= 5; i++) add("bad", `b${i}`)
    assert.deepStrictEqual(closed, ["b1", "b2"])
    assert.strictEqual(table.size, 4)
    assert.strictEqual(table.evicted, 2)
  })

  it("when all places are taken, the address with the most of them makes room", () => {
    const { add, closed, table } = make(5, 100)
    add("good", "g1")
    for (let i = 1; i <= 4; i++) add("bad", `b${i}`)
    add("late", "l1")
    assert.deepStrictEqual(closed, ["b1"])
    for (let i = 1; i <= 50; i++) add("bad", `c${i}`)
    assert.notInclude(closed, "g1")
    assert.notInclude(closed, "l1")
    assert.strictEqual(table.size, 5)
  })

  it("a handshake that is over leaves nothing, also when it had made room before", () => {
    const { add, closed, table } = make(2, 2)
    const [first, second, third] = [add("a", "1"), add("a", "2"), add("a", "3")]
    assert.deepStrictEqual(closed, ["1"])
    for (const pending of [first, second, third, third]) table.delete(pending!)
    assert.strictEqual(table.size, 0)
    add("b", "4")
    assert.deepStrictEqual(closed, ["1"])
  })

  it("a hundred thousand connections of a hundred addresses cost no more than the limit", () => {
    const { add, table } = make(1000, 50)
    for (let i = 0; i < 100_000; i++) add(`a${i % 100}`, "")
    assert.strictEqual(table.size, 1000)
  })
})
