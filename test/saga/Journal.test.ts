/**
 * What every journal promises, shown on the one in memory, whose disk can be made to wait, to fail, to crash and to
 * rot.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, type Scope } from "effect"
import { Journal } from "effect-otp/saga"

const text = (value: string) => new TextEncoder().encode(value)
const shown = (entries: ReadonlyArray<Journal.Entry>) =>
  entries.map(({ key, value }) => `${key}: ${new TextDecoder().decode(value)}`)

const withMemory = <A, E>(
  use: (journal: Journal.Service, control: Journal.Control) => Effect.Effect<A, E, Scope.Scope>
) => Effect.scoped(Effect.flatMap(Journal.makeMemory, ({ control, journal }) => use(journal, control)))

/** What a book holds when it is opened. */
const held = (journal: Journal.Service, owner: string) =>
  Effect.scoped(Effect.map(journal.open(owner), ({ entries }) => shown(entries)))

describe("a journal", () => {
  it.effect("keeps records by owner, in the order in which they came; a key can be put and removed", () =>
    withMemory((journal) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const book = yield* journal.open("one")
          const other = yield* journal.open("two")
          yield* book.write([Journal.append("a", text("1")), Journal.append("b", text("2"))])
          yield* other.write([Journal.append("a", text("other"))])
          yield* book.write([Journal.append("a", text("3")), Journal.append("c", text("4"))])
          yield* book.write([Journal.put("b", text("5")), Journal.remove("c")])
          // What is open has what it began with.
          assert.deepStrictEqual(book.entries, [])
        }))
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 1", "a: 3", "b: 5"])
        assert.deepStrictEqual(yield* held(journal, "two"), ["a: other"])
      })
    ))

  it.effect("has one owner for a book at a time", () =>
    withMemory((journal) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          yield* journal.open("one")
          const error = yield* Effect.flip(journal.open("one"))
          assert.strictEqual(error.reason, "InUse")
        }))
        yield* journal.open("one")
      })
    ))

  it.effect("[S28] has on disk what a write has ended with, and nothing of a write that had not", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const book = yield* journal.open("one")
        yield* book.write([Journal.append("a", text("1"))])
        yield* control.hold
        const writing = yield* Effect.forkChild(
          Effect.flip(book.write([Journal.append("a", text("2")), Journal.append("b", text("3"))]))
        )
        yield* Effect.yieldNow
        assert.isUndefined(writing.pollUnsafe())
        yield* control.crash
        assert.strictEqual((yield* Fiber.join(writing)).reason, "Io")
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 1"])
      })
    ))

  it.effect("writes that come while the disk is busy are carried out in their order", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const book = yield* journal.open("one")
        yield* control.hold
        const writes = yield* Effect.forEach(
          ["1", "2", "3", "4"],
          (value) => Effect.forkChild(book.write([Journal.append("a", text(value))]))
        )
        yield* control.release
        yield* Fiber.joinAll(writes)
        yield* control.crash
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 1", "a: 2", "a: 3", "a: 4"])
      })
    ))

  it.effect("what may come later goes with the next write, before it, or when the book is closed", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const book = yield* journal.open("one")
        yield* book.write([Journal.append("a", text("1"))])
        yield* book.later([Journal.remove("a")])
        yield* control.crash
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 1"])

        yield* Effect.scoped(Effect.gen(function*() {
          const again = yield* journal.open("one")
          yield* again.later([Journal.remove("a")])
          yield* again.write([Journal.append("a", text("2"))])
          yield* again.later([Journal.append("b", text("3"))])
        }))
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 2", "b: 3"])
      })
    ))

  it.effect("and by itself when it has become much", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const book = yield* journal.open("one")
        for (let i = 0; i < 1000; i++) yield* book.later([Journal.append(`${i}`, text("x"))])
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        yield* control.crash
        assert.strictEqual((yield* held(journal, "one")).length, 1000)
      })
    ))

  it.effect("a failed write is final for all books, until one is opened anew", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const one = yield* journal.open("one")
        const two = yield* journal.open("two")
        yield* one.write([Journal.append("a", text("1"))])
        yield* control.fail("no space left on the device")
        const error = yield* Effect.flip(one.write([Journal.append("a", text("2"))]))
        assert.strictEqual(error._tag, "JournalError")
        assert.strictEqual(error.reason, "Io")
        assert.include(error.message, "no space left on the device")
        // The disk works again, which helps nobody who has seen it fail.
        assert.strictEqual(yield* Effect.flip(one.write([Journal.append("a", text("3"))])), error)
        assert.strictEqual(yield* Effect.flip(two.write([Journal.append("a", text("3"))])), error)
        assert.strictEqual(yield* Effect.flip(two.later([Journal.remove("a")])), error)

        const again = yield* journal.open("one")
        assert.deepStrictEqual(shown(again.entries), ["a: 1"])
        yield* again.write([Journal.append("a", text("4"))])
        assert.strictEqual(yield* Effect.flip(two.write([])), error)
      })
    ))

  it.effect("finds a record that is not what was written", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const book = yield* journal.open("one")
          yield* book.write([Journal.append("a", text("1"))])
          yield* (yield* journal.open("two")).write([Journal.append("a", text("1"))])
        }))
        yield* control.damage("one")
        const error = yield* Effect.flip(journal.open("one"))
        assert.strictEqual(error.reason, "Corrupt")
        assert.deepStrictEqual(yield* held(journal, "two"), ["a: 1"])
      })
    ))

  it.effect("an interruption does not take a write back", () =>
    withMemory((journal, control) =>
      Effect.gen(function*() {
        const book = yield* journal.open("one")
        yield* control.hold
        const writing = yield* Effect.forkChild(book.write([Journal.append("a", text("1"))]))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(writing)
        yield* control.release
        yield* book.write([])
        yield* book.write([Journal.append("a", text("2"))])
        yield* control.crash
        assert.deepStrictEqual(yield* held(journal, "one"), ["a: 1", "a: 2"])
      })
    ))

  it.effect("a typed book has values of its schema, and refuses bytes that are none", () =>
    Effect.gen(function*() {
      const Step = Schema.Struct({ step: Schema.Int })
      const open = Journal.openTyped("one", Step)
      yield* Effect.scoped(Effect.gen(function*() {
        const book = yield* open
        yield* book.append("a", { step: 1 })
        yield* book.append("a", { step: 2 })
        yield* book.put("b", { step: 3 })
        yield* book.append("c", { step: 4 })
        yield* book.remove("c")
        yield* book.append("d", { step: 5 })
        yield* book.forget("d")
      }))
      const entries = yield* Effect.scoped(Effect.map(open, (book) => book.entries))
      assert.deepStrictEqual(entries, [
        { key: "a", value: { step: 1 } },
        { key: "a", value: { step: 2 } },
        { key: "b", value: { step: 3 } }
      ])
      const error = yield* Effect.flip(Effect.scoped(Journal.openTyped("one", Schema.String)))
      assert.strictEqual(error.reason, "Corrupt")
    }).pipe(Effect.provide(Journal.memory)))
})
