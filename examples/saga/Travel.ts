/**
 * A trip: four bookings with four agencies, each with a compensation. None of them knows of the others.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Saga } from "effect-otp/saga"

/** An agency has nothing to offer. */
export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { what: Schema.String }) {}

/** What is booked, by the key of its step: an agency asked twice under one key books once. */
export const booked = new Map<string, string>()

const agency = (what: string) =>
  Saga.makeStep(what, {
    input: Schema.Struct({ to: Schema.String, soldOut: Schema.String }),
    success: Schema.String,
    error: SoldOut,
    execute: ({ soldOut, to }, { key }) =>
      Effect.gen(function*() {
        if (soldOut === what) {
          yield* Console.log(`  ${what}: sold out`)
          return yield* new SoldOut({ what })
        }
        const ticket = `${what} to ${to}`
        booked.set(key, ticket)
        yield* Console.log(`  ${what}: booked`)
        return ticket
      }),
    compensate: (_, ticket, { key }) =>
      Effect.andThen(
        Effect.sync(() => booked.delete(key)),
        Console.log(`  ${what}: cancelled ${Option.getOrElse(ticket, () => "whatever there is")}`)
      )
  })

/** The agencies, in the order in which they are asked. */
export const agencies = ["flight", "hotel", "car", "museum"].map(agency)

/** The trip as a saga: one agency after the other. */
export const Trip = Saga.make("trip", {
  payload: { to: Schema.String, soldOut: Schema.String },
  success: Schema.Array(Schema.String),
  error: SoldOut,
  steps: agencies,
  run: (request) => Effect.forEach(agencies, (agency) => Saga.perform(agency, request))
})
