/**
 * A five-step saga over a ledger that asks for keys, as a bank does: whatever is done twice under one key counts once.
 *
 * A step has two halves. Whoever crashes between them leaves money that is nowhere, until the step is done again or taken back.
 */
import { Effect, Schema } from "effect"
import { Saga } from "effect-otp/saga"

/** A point of a step at which something can happen. */
export type Point = "before" | "during" | "after"

/** The ledger, and what can go wrong at each point. */
export interface World {
  /** Books an amount for an account under a key, once. */
  readonly book: (key: string, account: string, amount: number) => Effect.Effect<void>
  /** Takes back all that was booked under keys that begin so. */
  readonly cancel: (key: string) => Effect.Effect<void>
  readonly at: (step: number, point: Point) => Effect.Effect<void>
}

export class NoMoney extends Schema.TaggedError<NoMoney>()("NoMoney", { account: Schema.Int }) {}

export const five: ReadonlyArray<number> = [1, 2, 3, 4, 5]

const stepOf = (world: World, n: number) =>
  Saga.makeStep(`move ${n}`, {
    input: Schema.Int,
    success: Schema.String,
    error: NoMoney,
    execute: (amount, { key }) =>
      Effect.gen(function*() {
        if (amount > 100) return yield* new NoMoney({ account: n })
        yield* world.book(`${key}:from`, `account ${n}`, -amount)
        yield* world.at(n, "during")
        yield* world.book(`${key}:to`, "trip", amount)
        return `receipt ${n}`
      }),
    compensate: (_, __, { key }) => world.cancel(key)
  })

/** The saga, over a world. */
export const makeTrip = (world: World, recovery: "backward" | "forward" = "backward") => {
  const steps = five.map((n) => stepOf(world, n))
  return Saga.make("trip", {
    payload: { amounts: Schema.Array(Schema.Int) },
    success: Schema.Array(Schema.String),
    error: NoMoney,
    steps,
    recovery,
    run: ({ amounts }) =>
      Effect.forEach(five, (n) =>
        Effect.gen(function*() {
          yield* world.at(n, "before")
          const receipt = yield* Saga.perform(steps[n - 1]!, amounts[n - 1]!)
          yield* world.at(n, "after")
          return receipt
        }))
  })
}

/** A ledger in memory. */
export class MemoryLedger {
  readonly bookings = new Map<string, { readonly account: string; readonly amount: number }>()
  /** What was asked for, in order. */
  readonly asked: Array<string> = []

  readonly book = (key: string, account: string, amount: number): Effect.Effect<void> =>
    Effect.sync(() => {
      this.asked.push(`book ${key}`)
      if (!this.bookings.has(key)) this.bookings.set(key, { account, amount })
    })

  readonly cancel = (key: string): Effect.Effect<void> =>
    Effect.sync(() => {
      this.asked.push(`cancel ${key}`)
      for (const booked of [...this.bookings.keys()]) if (booked.startsWith(`${key}:`)) this.bookings.delete(booked)
    })

  get balances(): Record<string, number> {
    const sums: Record<string, number> = {}
    for (const { account, amount } of this.bookings.values()) sums[account] = (sums[account] ?? 0) + amount
    return sums
  }
}
