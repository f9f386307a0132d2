/**
 * An evening in the kitchen: who gets what, what happens when there is no room, when a worker crashes, and when there are
 * more of them.
 */
import { Console, Effect, Fiber, Latch, Layer, Logger, Schedule } from "effect"
import { Node, Pool, Supervisor } from "effect-otp"
import { Kitchen, Oven, Service, Tree } from "./Kitchen.ts"

const cooking = Effect.gen(function*() {
  // The client of a pool is that of one server.
  const kitchen = yield* Pool.named(Kitchen, "cooks")
  const put = (dish: string) =>
    Effect.forkChild(
      Effect.map(kitchen.Cook({ dish, bake: true }), (cook) => `${dish}: ${cook}`),
      { startImmediately: true }
    )
  const cake = yield* put("cake")
  for (const dish of ["salad", "soup", "toast"]) {
    yield* Console.log(`${dish}: ${yield* kitchen.Cook({ dish, bake: false })}`)
  }
  yield* Console.log("one cook waits for the oven; now all of them do, and each has a dish that waits as well")
  const others = yield* Effect.forEach(["bread", "pie", "roast", "quiche", "strudel"], put)
  yield* kitchen.Cook({ dish: "soufflé", bake: true }).pipe(
    Effect.catchReason("CallError", "MailboxFull", () => Effect.succeed("no room, try again later")),
    Effect.flatMap((answer) => Console.log(`soufflé: ${answer}`))
  )
  yield* (yield* Oven).open
  for (const fiber of [cake, ...others]) yield* Console.log(yield* Fiber.join(fiber))
})

const serving = Effect.gen(function*() {
  const service = yield* Pool.named(Service, "waiters")
  const order = (table: number, dish: string) =>
    Effect.flatMap(
      Effect.retry(service.Order({ table, dish }), Schedule.spaced("1 millis")),
      (bill) => Console.log(`table ${table}: ${bill.join(", ")}`)
    )
  yield* order(1, "soup")
  yield* order(2, "salad")
  yield* order(1, "cake")
  // Whoever replaces the waiter of table 1 has its place, and none of its memories. Table 2 does not notice.
  yield* service.Stumble({ table: 1 })
  yield* order(1, "coffee")
  yield* order(2, "tea")

  yield* Pool.resize({ name: "waiters" }, 5)
  const { handled, restarts, size } = yield* Pool.stats({ name: "waiters" })
  yield* Console.log(`${size} waiters, ${handled} messages, ${restarts} of them replaced`)
})

const AppLive = Supervisor.layer(Tree).pipe(
  Layer.provideMerge(Layer.merge(Node.layerLocal(), Layer.effect(Oven, Latch.make())))
)

// Crash reports go to standard error, what the program says to standard output.
await Effect.runPromise(
  Effect.andThen(cooking, serving).pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true))
)
