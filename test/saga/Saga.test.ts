/**
 * Steps with compensations, in memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Schedule, Schema } from "effect"
import { Saga, SagaError } from "effect-otp/saga"
import { TestClock } from "effect/testing"

/** Money in accounts: a step moves ten from its account to the trip, in two halves that do not happen at once. */
class Ledger {
  readonly accounts = new Map<string, number>()
  readonly log: Array<string> = []

  balance(account: string): number {
    return this.accounts.get(account) ?? 0
  }

  add(account: string, amount: number): Effect.Effect<void> {
    return Effect.sync(() => void this.accounts.set(account, this.balance(account) + amount))
  }

  /** No account has anything that it did not have at first. */
  get balanced(): boolean {
    return [...this.accounts.values()].every((balance) => balance === 0)
  }
}

type Fault = "fail" | "die" | "interrupt"
type Point = "before" | "during" | "after"

/** Five steps with a fault at one point of one of them. */
const fiveSteps = (ledger: Ledger, kind: "step" | "attempt", at: number, point: Point, fault: Fault) =>
  Effect.withFiber((fiber) => {
    const strike = (n: number, here: Point): Effect.Effect<void, string> =>
      n !== at || here !== point ?
        Effect.void
        : fault === "fail" ?
        Effect.fail("fault")
        : fault === "die" ?
        Effect.die("fault")
        : Effect.sync(() => fiber.interruptUnsafe())
    const move = (n: number) =>
      Effect.gen(function*() {
        yield* ledger.add(`account ${n}`, -10)
        yield* Effect.yieldNow
        yield* strike(n, "during")
        yield* Effect.yieldNow
        yield* ledger.add("trip", 10)
        ledger.log.push(`do ${n}`)
      })
    // Takes back what is there: in doubt, it looks.
    const undo = (n: number) =>
      Effect.gen(function*() {
        if (ledger.log.includes(`do ${n}`)) yield* ledger.add("trip", -10)
        yield* ledger.add(`account ${n}`, -ledger.balance(`account ${n}`))
        ledger.log.push(`undo ${n}`)
      })
    return Effect.forEach([1, 2, 3, 4, 5], (n) =>
      Effect.gen(function*() {
        yield* strike(n, "before")
        yield* Effect.yieldNow
        yield* kind === "step" ? Saga.step(move(n), () => undo(n)) : Saga.attempt(move(n), () => undo(n))
        yield* strike(n, "after")
        yield* Effect.yieldNow
      }), { discard: true })
  })

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)

const failure = <E>(exit: Exit.Exit<unknown, E>): Cause.Cause<E> => {
  if (Exit.isSuccess(exit)) throw new Error("it succeeded")
  return exit.cause
}

/** What was logged as an error. */
const errors = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Error") lines.push(String(Array.isArray(message) ? message[0] : message))
  })
  return { lines, layer: Logger.layer([logger]) }
}

describe("five steps", () => {
  for (const fault of ["fail", "die", "interrupt"] as const) {
    for (const point of ["before", "during", "after"] as const) {
      // A step is all or nothing: one that breaks in its middle by itself says so with `attempt`.
      for (const kind of ["step", "attempt"] as const) {
        if (kind === "step" && point === "during" && fault !== "interrupt") continue
        it.effect(`[S30] ${fault} ${point} each of five steps leaves the ledger balanced (${kind})`, () =>
          Effect.gen(function*() {
            for (const at of range(1, 5)) {
              const ledger = new Ledger()
              const fiber = yield* Effect.forkChild(Saga.run(fiveSteps(ledger, kind, at, point, fault)))
              const exit = yield* Fiber.await(fiber)
              const cause = failure(exit)
              assert.strictEqual(
                fault === "fail"
                  ? Cause.hasFails(cause)
                  : fault === "die"
                  ? Cause.hasDies(cause)
                  : Cause.hasInterrupts(cause),
                true
              )
              assert.isTrue(ledger.balanced, `${at}: ${JSON.stringify([...ledger.accounts])}`)
              const undone = ledger.log.filter((line) => line.startsWith("undo"))
              // The last step is in doubt, or done, or was not begun; those before it are done.
              const last = Number(/\d/.exec(undone[0] ?? "0")![0])
              assert.include([at - 1, at], last)
              assert.deepStrictEqual(undone, range(1, last).reverse().map((n) => `undo ${n}`))
            }
          }))
      }
    }
  }

  it.effect("without a fault nothing is taken back", () =>
    Effect.gen(function*() {
      const ledger = new Ledger()
      yield* Saga.run(fiveSteps(ledger, "step", 0, "before", "fail"))
      assert.strictEqual(ledger.balance("trip"), 50)
      assert.deepStrictEqual(ledger.log, range(1, 5).map((n) => `do ${n}`))
    }))
})

describe("compensations", () => {
  it.effect("[S30] one that fails or dies is reported and logged, and does not stop the rest", () => {
    const { layer, lines } = errors()
    const undone: Array<string> = []
    const step = (name: string, undo: Effect.Effect<void, string>) =>
      Saga.step(Effect.void, () => Effect.andThen(Effect.sync(() => undone.push(name)), undo), { name })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Saga.run(
        Effect.gen(function*() {
          yield* step("flight", Effect.void)
          yield* step("hotel", Effect.fail("no answer"))
          yield* step("car", Effect.die(new Error("bug")))
          yield* step("museum", Effect.void)
          return yield* Effect.fail("no money")
        }),
        { name: "trip" }
      ))
      const cause = failure(exit)
      assert.deepStrictEqual(undone, ["museum", "car", "hotel", "flight"])
      const [first, second] = cause.reasons.filter(Cause.isFailReason).map(({ error }) => error)
      assert.instanceOf(first, SagaError.CompensationFailed)
      const failed = first as SagaError.CompensationFailed
      assert.deepStrictEqual(failed.failures.map(({ step }) => step), ["car", "hotel"])
      assert.strictEqual(Cause.squash(failed.failures[1]!.cause), "no answer")
      assert.strictEqual(Cause.squash(failed.original), "no money")
      assert.include(failed.message, "saga trip failed, and these steps could not be taken back: car, hotel")
      // The original failure stands behind it.
      assert.strictEqual(second, "no money")
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0]!, "saga trip: the compensation of car failed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("one has its own time limit, and is tried again by its schedule", () =>
    Effect.gen(function*() {
      let attempts = 0
      const saga = Saga.run(Effect.andThen(
        Saga.step(
          Effect.succeed("seat"),
          (seat) => {
            assert.strictEqual(seat, "seat")
            attempts++
            return attempts === 1 ? Effect.never : attempts === 2 ? Effect.fail("busy") : Effect.void
          },
          { timeout: "1 second", retry: Schedule.spaced("1 minute") }
        ),
        Effect.fail("no")
      ))
      const fiber = yield* Effect.forkChild(Effect.flip(saga))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(attempts, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(attempts, 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "no")
      assert.strictEqual(attempts, 3)
    }))

  it.effect("one that never succeeds within its attempts is reported as a timeout", () =>
    Effect.gen(function*() {
      const { layer } = errors()
      const saga = Saga.run(Effect.andThen(
        Saga.step(Effect.void, () => Effect.never, { timeout: "1 second", retry: Schedule.recurs(2) }),
        Effect.fail("no")
      ))
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.provide(saga, layer)))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.isTrue(
        error instanceof SagaError.CompensationFailed && Cause.isTimeoutError(Cause.squash(error.failures[0]!.cause))
      )
    }))

  it.effect("[S30] nothing interrupts them: a second interruption waits until all are done", () =>
    Effect.gen(function*() {
      const undone: Array<number> = []
      const fiber = yield* Effect.forkChild(Saga.run(
        Effect.andThen(
          Effect.forEach(
            [1, 2, 3],
            (n) =>
              Saga.step(Effect.void, () => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => undone.push(n))))
          ),
          Effect.never
        )
      ))
      yield* Effect.yieldNow
      const first = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      const second = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(undone, [3, 2])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(undone, [3, 2, 1])
    }))

  it.effect("have the services of their step, and the cause of the failure", () => {
    class Desk extends Context.Service<Desk, { readonly cancel: (seat: string) => void }>()("test/Desk") {}
    const seen: Array<string> = []
    const saga = Saga.run(
      Effect.gen(function*() {
        yield* Saga.step(
          Effect.succeed("12A"),
          (seat, cause) => Effect.map(Desk, (desk) => desk.cancel(`${seat}: ${Cause.squash(cause)}`))
        )
        return yield* Effect.fail("full")
      })
    )
    return Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(saga), "full")
      assert.deepStrictEqual(seen, ["12A: full"])
    }).pipe(Effect.provide(Layer.succeed(Desk, { cancel: (line) => void seen.push(line) })))
  })
})

describe("composition", () => {
  it.effect("[S30] steps side by side are taken back in the reverse order of their ends", () =>
    Effect.gen(function*() {
      const undone: Array<string> = []
      const step = (name: string, millis: number) =>
        Saga.step(Effect.as(Effect.sleep(millis), name), () => Effect.sync(() => undone.push(name)))
      const fiber = yield* Effect.forkChild(Effect.flip(Saga.run(Effect.gen(function*() {
        const names = yield* Effect.all([step("slow", 300), step("fast", 100), step("middle", 200)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(names, ["slow", "fast", "middle"])
        return yield* Effect.fail("no")
      }))))
      yield* TestClock.adjust(300)
      assert.strictEqual(yield* Fiber.join(fiber), "no")
      assert.deepStrictEqual(undone, ["slow", "middle", "fast"])
    }))

  it.effect("[S30] a step whose neighbour fails is finished first, then taken back", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const fiber = yield* Effect.forkChild(Effect.flip(Saga.run(Effect.all([
        Saga.step(
          Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push("done"))),
          () => Effect.sync(() => log.push("undone"))
        ),
        Effect.fail("neighbour")
      ], { concurrency: "unbounded" }))))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "neighbour")
      assert.deepStrictEqual(log, ["done", "undone"])
    }))

  it.effect("an attempt may be interrupted, and its compensation learns of it", () =>
    Effect.gen(function*() {
      const exits: Array<Exit.Exit<number>> = []
      const begun = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Saga.run(Effect.andThen(
        Saga.attempt(Effect.succeed(1), (exit) => Effect.sync(() => exits.push(exit))),
        Saga.attempt(
          Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), 2),
          (exit) => Effect.sync(() => exits.push(exit))
        )
      )))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(exits[0]!) && Cause.hasInterruptsOnly(exits[0].cause))
      assert.deepStrictEqual(exits[1], Exit.succeed(1))
    }))

  it.effect("what is done before the pivot stays", () =>
    Effect.gen(function*() {
      const undone: Array<number> = []
      const step = (n: number) => Saga.step(Effect.void, () => Effect.sync(() => undone.push(n)))
      yield* Effect.flip(Saga.run(
        step(1).pipe(
          Effect.andThen(Saga.pivot),
          Effect.andThen(step(2)),
          Effect.andThen(Effect.fail("late"))
        )
      ))
      assert.deepStrictEqual(undone, [2])
    }))

  it.effect("a saga within a saga is one step of it", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const step = (name: string) => Saga.step(Effect.void, () => Effect.sync(() => log.push(`undo ${name}`)))
      const inner = Saga.run(Effect.andThen(step("a"), step("b")))
      yield* Effect.flip(Saga.run(Effect.andThen(
        Saga.step(inner, () => Effect.sync(() => log.push("undo inner"))),
        Effect.andThen(step("c"), Effect.fail("no"))
      )))
      assert.deepStrictEqual(log, ["undo c", "undo inner"])
    }))

  it.effect("[S30] a step that a forked fiber does too late is not begun; one under way is taken back at once", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const fibers: Array<Fiber.Fiber<void, unknown>> = []
      yield* Effect.flip(Saga.run(Effect.gen(function*() {
        fibers.push(
          yield* Effect.forkDetach(
            Saga.step(
              Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => void log.push("done"))),
              () => Effect.sync(() => log.push("undone"))
            ),
            { startImmediately: true }
          )
        )
        fibers.push(
          yield* Effect.forkDetach(Effect.andThen(
            Effect.sleep("1 second"),
            Saga.step(Effect.sync(() => void log.push("late")), () => Effect.void)
          ))
        )
        return yield* Effect.fail("no")
      })))
      yield* TestClock.adjust("1 second")
      const [under, late] = yield* Effect.forEach(fibers, Fiber.await)
      assert.isTrue(Exit.isSuccess(under!))
      assert.isTrue(Exit.isFailure(late!) && Cause.hasDies(late.cause))
      assert.deepStrictEqual(log, ["done", "undone"])
    }))
})

describe("named steps in memory", () => {
  const log: Array<string> = []
  const Seat = Saga.makeStep("seat", {
    input: Schema.Int,
    success: Schema.String,
    error: Schema.String,
    execute: (row, { key }) =>
      row < 0 ? Effect.fail("no such row") : row === 13
        ? Effect.die("superstition")
        : Effect.sync(() => (log.push(key), `${row}A`)),
    compensate: (row, done, { key }) =>
      Effect.sync(() => log.push(`undo ${row} ${Option.getOrElse(done, () => "?")} ${key}`))
  })

  it.effect("have keys of their own; a typed failure has nothing to take back, anything else is in doubt", () =>
    Effect.gen(function*() {
      const two = Effect.andThen(Saga.perform(Seat, 1), Saga.perform(Seat, 2, { id: "window" }))
      assert.strictEqual(yield* Saga.run(two, { name: "flight", id: "7" }), "2A")
      assert.deepStrictEqual(log.splice(0), ["flight/7/seat", "flight/7/seat/window"])

      yield* Effect.flip(Saga.run(Effect.andThen(two, Saga.perform(Seat, -1)), { name: "flight", id: "8" }))
      assert.deepStrictEqual(log.splice(0), [
        "flight/8/seat",
        "flight/8/seat/window",
        "undo 2 2A flight/8/seat/window",
        "undo 1 1A flight/8/seat"
      ])

      yield* Effect.exit(Saga.run(Effect.andThen(two, Saga.perform(Seat, 13)), { name: "flight", id: "9" }))
      assert.strictEqual(log.splice(0)[2], "undo 13 ? flight/9/seat 2")
    }))

  it.effect("have other keys in other runs", () =>
    Effect.gen(function*() {
      yield* Saga.run(Saga.perform(Seat, 1))
      yield* Saga.run(Saga.perform(Seat, 1))
      const [a, b] = log.splice(0)
      assert.notStrictEqual(a, b)
    }))
})
