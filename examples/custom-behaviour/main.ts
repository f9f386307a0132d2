/**
 * Seven lines for the journal: how they become batches, who learns of what, and what happens at the end.
 */
import { Console, Effect, Equal, Layer, Logger, Option, Schedule } from "effect"
import { GenServer, Node, Process, Supervisor } from "effect-otp"
import { Disk, Journal, Tree } from "./Journal.ts"

const program = Effect.gen(function*() {
  const journal = yield* GenServer.named(Journal, "journal")
  const add = (item: string) =>
    journal.Add({ item }).pipe(
      Effect.as(`${item}: written`),
      Effect.catchTag("Illegible", ({ line }) => Effect.succeed(`${item}: refused, since nobody can read ${line}`)),
      Effect.catchReason("CallError", "ProcessExit", () => Effect.succeed(`${item}: lost`))
    )
  const addAll = (...items: ReadonlyArray<string>) =>
    Effect.flatMap(
      Effect.forEach(items, add, { concurrency: "unbounded" }),
      (answers) => Effect.forEach(answers, (answer) => Console.log(answer))
    )

  yield* Console.log("three make a batch, the fourth waits for its time:")
  yield* addAll("rain", "wind", "snow", "sun")
  yield* Console.log("a batch fails as a whole, with its error:")
  yield* addAll("hail", "f?g")
  yield* Console.log("a crash acknowledges nothing, and the supervisor starts the next one:")
  const before = Option.getOrThrow(yield* Process.whereis("journal"))
  yield* addAll("frost", "coffee")
  yield* Effect.repeat(Process.whereis("journal"), {
    until: (pid) => Option.isSome(pid) && !Equal.equals(pid.value, before),
    schedule: Schedule.spaced("1 millis")
  })
  yield* addAll("frost")
  yield* Console.log("who is told to stop writes what it has:")
  yield* Effect.forkDetach(Effect.flatMap(add("dew"), Console.log), { startImmediately: true })
})

const AppLive = Supervisor.layer(Tree).pipe(
  Layer.provideMerge(Layer.merge(Node.layerLocal(), Layer.succeed(Disk, Disk.printing)))
)

// Crash reports go to standard error, what the program says to standard output.
await Effect.runPromise(program.pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true)))
