/**
 * Sagas with a journal, in one program: what is left of a run, whatever cut it off.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, References, Schema } from "effect"
import { Journal, JournalError, Saga, SagaError } from "effect-otp/saga"
import { five, makeTrip, MemoryLedger, NoMoney, type Point } from "./Trip.ts"

const amounts = [10, 20, 30, 40, 50]
const whole = { "account 1": -10, "account 2": -20, "account 3": -30, "account 4": -40, "account 5": -50, trip: 150 }
const nowhere: (step: number, point: Point) => Effect.Effect<void> = () => Effect.void

/** A journal in memory, and what opens a saga on it. */
const disk = Effect.map(Journal.makeMemory, ({ control, journal }) => ({
  control,
  provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Journal.Journal, journal)
}))

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) throw new Error("it succeeded")
  return Cause.squash(exit.cause)
}

describe("a durable saga", () => {
  it.effect("gives its result; the same id gives the same one and does nothing", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      const { provide } = yield* disk
      const trip = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere })))
      const receipts = yield* trip.execute("7", { amounts })
      assert.deepStrictEqual(receipts, five.map((n) => `receipt ${n}`))
      assert.deepStrictEqual(ledger.balances, whole)
      assert.deepStrictEqual(yield* trip.execute("7", { amounts }), receipts)
      assert.strictEqual(ledger.asked.length, 10)
      assert.isTrue(yield* trip.forget("7"))
      assert.isFalse(yield* trip.forget("7"))
    }).pipe(Effect.scoped))

  it.effect("[S30] a typed failure is taken back, last step first, and remembered as it was", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      const { provide } = yield* disk
      yield* Effect.scoped(Effect.gen(function*() {
        const trip = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere })))
        const error = yield* Effect.flip(trip.execute("7", { amounts: [10, 20, 30, 500, 50] }))
        assert.deepStrictEqual(error, new NoMoney({ account: 4 }))
      }))
      assert.deepStrictEqual(ledger.balances, {})
      assert.deepStrictEqual(ledger.asked.slice(6), [
        "cancel trip/7/move 3",
        "cancel trip/7/move 2",
        "cancel trip/7/move 1"
      ])
      yield* Effect.scoped(Effect.gen(function*() {
        const trip = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere })))
        assert.deepStrictEqual(trip.recovered, [])
        assert.deepStrictEqual(yield* Effect.flip(trip.execute("7", { amounts })), new NoMoney({ account: 4 }))
      }))
      assert.strictEqual(ledger.asked.length, 9)
    }))

  it.effect("two callers of one id share one run", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      const gate = yield* Deferred.make<void>()
      const { provide } = yield* disk
      const trip = yield* provide(Saga.open(makeTrip({
        ...ledger,
        at: (n, point) => n === 3 && point === "before" ? Deferred.await(gate) : Effect.void
      })))
      const first = yield* Effect.forkChild(trip.execute("7", { amounts }))
      yield* Effect.yieldNow
      const second = yield* Effect.forkChild(trip.execute("7", { amounts }))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(first), yield* Fiber.join(second))
      assert.strictEqual(ledger.asked.length, 10)
    }).pipe(Effect.scoped))

  it.effect("one that was interrupted is taken back, and its id says so afterwards", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      const reached = yield* Deferred.make<void>()
      const { provide } = yield* disk
      const trip = yield* provide(Saga.open(makeTrip({
        ...ledger,
        at: (n, point) =>
          n === 3 && point === "during"
            ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
            : Effect.void
      })))
      const fiber = yield* Effect.forkChild(trip.execute("7", { amounts }))
      yield* Deferred.await(reached)
      const joined = yield* Effect.forkChild(Effect.flip(trip.execute("7", { amounts })))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(ledger.balances, {})
      // Who had joined was not interrupted.
      assert.instanceOf(yield* Fiber.join(joined), SagaError.SagaRolledBack)
      assert.instanceOf(yield* Effect.flip(trip.execute("7", { amounts })), SagaError.SagaRolledBack)
    }).pipe(Effect.scoped))
})

describe("a crash", () => {
  /** Runs until a point is reached, and crashes there: the journal takes nothing more, and the run goes no further. */
  const crashAt = (ledger: MemoryLedger, at: number, point: Point, recovery: "backward" | "forward") =>
    Effect.gen(function*() {
      const { control, provide } = yield* disk
      const reached = yield* Deferred.make<void>()
      yield* Effect.scoped(Effect.gen(function*() {
        const trip = yield* provide(Saga.open(makeTrip({
          ...ledger,
          at: (n, here) =>
            n === at && here === point
              ? control.crash.pipe(Effect.andThen(Deferred.succeed(reached, undefined)), Effect.andThen(Effect.never))
              : Effect.void
        }, recovery)))
        const fiber = yield* Effect.forkChild(trip.execute("7", { amounts }))
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }))
      // Whatever is on disk has the last word: nothing was taken back meanwhile.
      assert.isFalse(ledger.asked.some((line) => line.startsWith("cancel")))
      const after = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere }, recovery)))
      assert.deepStrictEqual(after.recovered.map(({ id }) => id), ["7"])
      return { after, exit: after.recovered[0]!.exit }
    })

  for (const point of ["before", "during", "after"] as const) {
    it.effect(`[S30] ${point} each of five steps, taken back at the next start, leaves the ledger balanced`, () =>
      Effect.gen(function*() {
        for (const at of five) {
          const ledger = new MemoryLedger()
          const { after, exit } = yield* crashAt(ledger, at, point, "backward")
          assert.instanceOf(errorOf(exit), SagaError.SagaRolledBack)
          assert.deepStrictEqual(ledger.balances, {}, `${at}`)
          const last = point === "before" ? at - 1 : at
          assert.deepStrictEqual(
            ledger.asked.filter((line) => line.startsWith("cancel")),
            five.slice(0, last).reverse().map((n) => `cancel trip/7/move ${n}`)
          )
          assert.instanceOf(yield* Effect.flip(after.execute("7", { amounts })), SagaError.SagaRolledBack)
        }
      }).pipe(Effect.scoped))

    it.effect(`${point} each of five steps, gone on with at the next start, does each step once`, () =>
      Effect.gen(function*() {
        for (const at of five) {
          const ledger = new MemoryLedger()
          const { after, exit } = yield* crashAt(ledger, at, point, "forward")
          assert.deepStrictEqual(exit, Exit.succeed(five.map((n) => `receipt ${n}`)))
          assert.deepStrictEqual(ledger.balances, whole, `${at}`)
          // Only the step that was in doubt was begun again, under its own key.
          const twice = ledger.asked.filter((line, index) => ledger.asked.indexOf(line) !== index)
          assert.deepStrictEqual(twice, point === "during" ? [`book trip/7/move ${at}:from`] : [])
          assert.deepStrictEqual(yield* after.execute("7", { amounts }), five.map((n) => `receipt ${n}`))
        }
      }).pipe(Effect.scoped))
  }

  it.effect("[S30] while going back: what was taken back is not taken back again", () =>
    Effect.gen(function*() {
      for (const at of five.slice(0, 4)) {
        const ledger = new MemoryLedger()
        const { control, provide } = yield* disk
        yield* Effect.scoped(Effect.gen(function*() {
          const trip = yield* provide(Saga.open(makeTrip({
            ...ledger,
            cancel: (key) => Effect.andThen(ledger.cancel(key), key.endsWith(`${at}`) ? control.crash : Effect.void),
            at: (n, point) => n === 5 && point === "before" ? Effect.die("crash of the step") : Effect.void
          })))
          const exit = yield* Effect.exit(trip.execute("7", { amounts }))
          assert.instanceOf(errorOf(exit), JournalError.JournalError)
        }))
        const trip = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere }, "forward")))
        // It was going back, so it goes back.
        assert.instanceOf(errorOf(trip.recovered[0]!.exit), SagaError.SagaRolledBack)
        assert.deepStrictEqual(ledger.balances, {})
        const times = five.map((n) => ledger.asked.filter((line) => line === `cancel trip/7/move ${n}`).length)
        // The one whose record was lost is in doubt, and is taken back again under its key.
        assert.deepStrictEqual(times, five.map((n) => n === 5 ? 0 : n === at ? 2 : 1))
      }
    }).pipe(Effect.scoped))
})

describe("the journal of a saga", () => {
  it.effect("[F11] that fails ends the run with its error, at each of its writes, and the next start settles it", () =>
    Effect.gen(function*() {
      // The first is that of the run, then two for each step, then the last.
      for (let write = 0; write <= 11; write++) {
        const ledger = new MemoryLedger()
        const { control, provide } = yield* disk
        yield* Effect.scoped(
          Effect.gen(function*() {
            const book = yield* Journal.Journal
            let writes = 0
            const counting: Journal.Service = {
              open: (owner) =>
                Effect.map(book.open(owner), (opened) => ({
                  ...opened,
                  write: (changes) =>
                    Effect.andThen(writes++ === write ? control.fail("no space") : Effect.void, opened.write(changes))
                }))
            }
            const trip = yield* Effect.provideService(
              Saga.open(makeTrip({ ...ledger, at: nowhere })),
              Journal.Journal,
              counting
            )
            const exit = yield* Effect.exit(trip.execute("7", { amounts }))
            assert.instanceOf(errorOf(exit), JournalError.JournalError, `write ${write}`)
            assert.strictEqual(writes, write + 1)
            assert.isFalse(ledger.asked.some((line) => line.startsWith("cancel")))
          }).pipe(provide)
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const trip = yield* provide(Saga.open(makeTrip({ ...ledger, at: nowhere })))
          assert.strictEqual(trip.recovered.length, write === 0 ? 0 : 1)
          assert.deepStrictEqual(ledger.balances, {}, `write ${write}`)
        }))
      }
    }))

  it.effect("[S30] a compensation that fails is reported, does not stop the rest, and is tried again, it alone", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      const { provide } = yield* disk
      let broken = true
      const world = {
        ...ledger,
        cancel: (key: string) =>
          Effect.andThen(ledger.cancel(key), key.endsWith("2") && broken ? Effect.die("no answer") : Effect.void),
        at: nowhere
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const trip = yield* provide(Saga.open(makeTrip(world)))
        const error = yield* Effect.flip(trip.execute("7", { amounts: [10, 20, 30, 500, 50] }))
        assert.isTrue(error instanceof SagaError.CompensationFailed && error.failures[0]!.step === "move 2")
        assert.deepStrictEqual(ledger.asked.slice(6).map((line) => line.at(-1)), ["3", "2", "1"])
        // Asked again under its id it tries again, and this one alone.
        assert.instanceOf(yield* Effect.flip(trip.execute("7", { amounts })), SagaError.CompensationFailed)
        assert.strictEqual(ledger.asked.length, 10)
      }))
      broken = false
      const trip = yield* provide(Saga.open(makeTrip(world)))
      assert.strictEqual(trip.recovered.length, 1)
      assert.deepStrictEqual(ledger.asked.slice(10), ["cancel trip/7/move 2"])
      // The saga had failed by its own error: that is what its id gives.
      assert.deepStrictEqual(yield* Effect.flip(trip.execute("7", { amounts })), new NoMoney({ account: 4 }))
    }).pipe(Effect.scoped, quiet))

  it.effect("a step that is not listed, or comes with another input than before, is a defect and is taken back", () =>
    Effect.gen(function*() {
      const { control, provide } = yield* disk
      let input = 1
      const undone: Array<string> = []
      const step = (name: string) =>
        Saga.makeStep(name, {
          input: Schema.Int,
          execute: () => Effect.void,
          compensate: (n, done) => Effect.sync(() => undone.push(`${name} ${n} ${Option.isSome(done)}`))
        })
      const listed = step("listed")
      const other = step("other")
      const saga = Saga.make("changing", {
        steps: [listed],
        recovery: "forward",
        run: () =>
          Effect.gen(function*() {
            yield* Saga.perform(listed, input)
            if (input === 1) yield* Effect.andThen(control.crash, Effect.interrupt)
            yield* Saga.perform(other, 1)
          })
      })
      yield* Effect.scoped(Effect.gen(function*() {
        const opened = yield* provide(Saga.open(saga))
        yield* Effect.exit(opened.execute("1", undefined))
        assert.deepStrictEqual(undone, [])
      }))
      input = 2
      const opened = yield* provide(Saga.open(saga))
      assert.include(String(errorOf(opened.recovered[0]!.exit)), "another input than its journal says")
      assert.deepStrictEqual(undone.splice(0), ["listed 1 true"])
      assert.include(String(errorOf(yield* Effect.exit(opened.execute("2", undefined)))), "do not list other")
      assert.deepStrictEqual(undone, ["listed 2 true"])
    }).pipe(Effect.scoped))

  it("refuses two steps of one name", () => {
    const step = Saga.makeStep("a", { execute: () => Effect.void, compensate: () => Effect.void })
    assert.throws(() => Saga.make("twice", { steps: [step, { ...step }], run: () => Effect.void }), /two of its steps/)
  })
})
