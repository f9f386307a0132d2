/**
 * Durable sagas on the workflow engine of Effect, in memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, References, Schema } from "effect"
import { Saga } from "effect-otp/saga"
import { TestClock } from "effect/testing"
import { DurableClock, DurableDeferred, WorkflowEngine } from "effect/workflow"
import { five, makeTrip, MemoryLedger, NoMoney } from "./Trip.ts"

const workflowOf = (ledger: MemoryLedger, at: (n: number, point: string) => Effect.Effect<void> = () => Effect.void) =>
  Saga.toWorkflow(makeTrip({ ...ledger, at }), { idempotencyKey: ({ amounts }) => amounts.join() })

const onEngine = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  layer: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
) => Effect.provide(effect, layer.pipe(Layer.provideMerge(WorkflowEngine.layerMemory)))

/** The engine makes its ids with a hash, which is ready in a turn of the host's own. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.andThen(turn, until(condition)))

/** Lets day after day pass until a fiber has ended. */
const dayByDay = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() =>
    fiber.pollUnsafe() !== undefined
      ? Fiber.join(fiber)
      : Effect.andThen(Effect.andThen(turn, TestClock.adjust("1 day")), dayByDay(fiber))
  )

describe("a saga as a workflow", () => {
  it.effect("gives its result, and the same one for the same payload", () => {
    const ledger = new MemoryLedger()
    const { layer, workflow } = workflowOf(ledger)
    return onEngine(
      Effect.gen(function*() {
        const receipts = yield* workflow.execute({ amounts: [1, 2, 3, 4, 5] })
        assert.deepStrictEqual(receipts, five.map((n) => `receipt ${n}`))
        assert.strictEqual(ledger.balances["trip"], 15)
        assert.deepStrictEqual(yield* workflow.execute({ amounts: [1, 2, 3, 4, 5] }), receipts)
        assert.strictEqual(ledger.asked.length, 10)
        // The key of a step is that of its execution.
        const id = yield* workflow.executionId({ amounts: [1, 2, 3, 4, 5] })
        assert.strictEqual(ledger.asked[0], `book trip/${id}/move 1:from`)
      }),
      layer
    )
  })

  for (const n of five) {
    it.effect(`[S30] that fails at step ${n} is taken back, last step first, each once`, () => {
      const ledger = new MemoryLedger()
      const { layer, workflow } = workflowOf(ledger)
      const amounts = five.map((m) => m === n ? 500 : m)
      return onEngine(
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* Effect.flip(workflow.execute({ amounts })), new NoMoney({ account: n }))
          assert.deepStrictEqual(ledger.balances, {})
          assert.deepStrictEqual(
            ledger.asked.filter((line) => line.startsWith("cancel")).map((line) => line.at(-1)),
            five.slice(0, n - 1).reverse().map(String)
          )
        }),
        layer
      )
    })

    it.effect(`that dies in the middle of step ${n} takes back that step as well`, () => {
      const ledger = new MemoryLedger()
      const { layer, workflow } = workflowOf(
        ledger,
        (m, point) => m === n && point === "during" ? Effect.die("crash") : Effect.void
      )
      return onEngine(
        Effect.gen(function*() {
          const exit = yield* Effect.exit(workflow.execute({ amounts: [1, 2, 3, 4, 5] }))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
          assert.deepStrictEqual(ledger.balances, {})
        }),
        layer
      )
    })
  }

  it.effect("goes on after it was suspended, with the results that it had", () => {
    const ledger = new MemoryLedger()
    const log: Array<string> = []
    const step = Saga.makeStep("once", {
      success: Schema.Int,
      execute: () => Effect.sync(() => log.push("do")),
      compensate: () => Effect.sync(() => log.push("undo"))
    })
    const { layer, workflow } = Saga.toWorkflow(
      Saga.make("sleeper", {
        payload: { fail: Schema.Boolean },
        success: Schema.Int,
        error: Schema.String,
        steps: [step],
        run: ({ fail }) =>
          Effect.gen(function*() {
            const result = yield* Saga.perform(step)
            yield* DurableClock.sleep({ name: "night", duration: "1 day", inMemoryThreshold: 0 })
            return fail ? yield* Effect.fail("tired") : result
          })
      }),
      { idempotencyKey: ({ fail }) => String(fail) }
    )
    return onEngine(
      Effect.gen(function*() {
        const good = yield* Effect.forkChild(workflow.execute({ fail: false }))
        assert.strictEqual(yield* dayByDay(good), 1)
        assert.deepStrictEqual(log.splice(0), ["do"])
        const bad = yield* Effect.forkChild(Effect.flip(workflow.execute({ fail: true })))
        assert.strictEqual(yield* dayByDay(bad), "tired")
        assert.deepStrictEqual(log, ["do", "undo"])
        assert.strictEqual(ledger.asked.length, 0)
      }) as Effect.Effect<void, string, WorkflowEngine.WorkflowEngine>,
      layer as Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
    )
  })

  it.effect("[S30] a compensation that fails is logged and does not stop the others", () => {
    const ledger = new MemoryLedger()
    const broken = {
      ...ledger,
      cancel: (key: string) =>
        Effect.andThen(ledger.cancel(key), key.endsWith("2") ? Effect.die("no answer") : Effect.void),
      at: () => Effect.void
    }
    const { layer, workflow } = Saga.toWorkflow(makeTrip(broken), { idempotencyKey: ({ amounts }) => amounts.join() })
    return onEngine(
      Effect.gen(function*() {
        const error = yield* Effect.flip(workflow.execute({ amounts: [1, 2, 3, 500, 5] }))
        assert.deepStrictEqual(error, new NoMoney({ account: 4 }))
        assert.deepStrictEqual(ledger.asked.slice(6).map((line) => line.at(-1)), ["3", "2", "1"])
      }),
      layer
    ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  })

  it.effect("that is interrupted while it sleeps is taken back", () => {
    const log: Array<string> = []
    const step = Saga.makeStep("once", {
      execute: () => Effect.sync(() => void log.push("do")),
      compensate: () => Effect.sync(() => log.push("undo"))
    })
    const gate = DurableDeferred.make("gate")
    const { layer, workflow } = Saga.toWorkflow(
      Saga.make("waiter", {
        payload: { id: Schema.String },
        steps: [step],
        run: () => Effect.andThen(Saga.perform(step), DurableDeferred.await(gate))
      }),
      { idempotencyKey: ({ id }) => id }
    )
    return onEngine(
      Effect.gen(function*() {
        const id = yield* workflow.execute({ id: "1" }, { discard: true })
        yield* until(() => log.length === 1)
        yield* workflow.interrupt(id)
        yield* until(() => log.length === 2)
        assert.deepStrictEqual(log, ["do", "undo"])
      }),
      layer as Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
    )
  })
})
