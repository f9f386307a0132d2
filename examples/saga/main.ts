/**
 * Books a trip whose agencies are sold out in turn, then one that can be had; and asks for each a second time.
 */
import { Console, Effect } from "effect"
import { Journal, Saga } from "effect-otp/saga"
import { agencies, booked, Trip } from "./Travel.ts"

const program = Effect.gen(function*() {
  const trips = yield* Saga.open(Trip)

  for (const soldOut of [...agencies.map(({ name }) => name), "nothing"]) {
    yield* Console.log(`a trip to Rome, ${soldOut} sold out`)
    const request = { to: "Rome", soldOut }
    const book = trips.execute(`trip with ${soldOut} sold out`, request).pipe(
      Effect.map((tickets) => `all booked: ${tickets.join(", ")}`),
      Effect.catchTag("SoldOut", ({ what }) => Effect.succeed(`no ${what}, no trip`))
    )
    yield* Console.log(`  ${yield* book}; ${booked.size} bookings are left`)
    // The same order again: the agencies are not asked, the answer is known.
    yield* Console.log(`  asked again: ${yield* book}`)
  }
}).pipe(Effect.scoped, Effect.provide(Journal.memory))

await Effect.runPromise(program)
