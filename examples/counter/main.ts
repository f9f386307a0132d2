/**
 * A supervised counter: typed calls, a typed error, a crash, and life after it.
 */
import { Console, Effect, Layer, Logger } from "effect"
import { GenServer, Node, Process, Supervisor } from "effect-otp"
import { Counter, CounterTree } from "./Counter.ts"

const program = Effect.gen(function*() {
  const counter = yield* GenServer.named(Counter, "counter")

  yield* Console.log(`1 + 2 = ${yield* counter.Add({ n: 2 })}`)

  // A domain error is a value in the error channel; the server goes on.
  yield* counter.Add({ n: 1000 }).pipe(
    Effect.catchTag("Overflow", ({ max }) => Console.log(`1000 more is too much: at most ${max}`))
  )
  yield* Console.log(`still ${yield* counter.Get()}`)

  // A crash ends the process, not the program. The supervisor starts a new one, under the same name.
  const before = yield* Process.whereis("counter")
  yield* counter.Crash()
  const count = yield* counter.Get().pipe(Effect.retry({ times: 100 }))
  const after = yield* Process.whereis("counter")
  yield* Console.log(`after a crash: ${count}, in ${String(before) === String(after) ? "the same" : "a new"} process`)
})

const AppLive = Supervisor.layer(CounterTree).pipe(Layer.provideMerge(Node.layerLocal()))

// Crash reports go to standard error, what the program says to standard output.
await Effect.runPromise(program.pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true)))
