/**
 * A morning at the station: two processes and a stream hear of every departure, a latecomer of the last ones, and all of
 * them of the end.
 */
import { Console, Effect, Fiber, Layer, Logger, Schedule, Stream } from "effect"
import { Events, GenServer, Node, Supervisor } from "effect-otp"
import { Board, BoardServer, Departures, Dispatcher, Porter, Tree } from "./Station.ts"

const program = Effect.gen(function*() {
  const dispatcher = yield* GenServer.named(Dispatcher, "dispatcher")
  const board = yield* GenServer.named(Board, "board")
  const porter = yield* GenServer.named(Porter, "porter")

  // A subscription as a stream needs no process: here, of the trains from platform 3.
  const { stream } = yield* Events.subscription(Departures)
  const third = yield* stream.pipe(
    Stream.filter(({ platform }) => platform === 3),
    Stream.map(({ train }) => train),
    Stream.runCollect,
    Effect.forkChild
  )

  yield* dispatcher.Announce({ train: "the night train", platform: 3 })
  yield* dispatcher.Announce({ train: "the express", platform: 1 })
  yield* dispatcher.Announce({ train: "the milk train", platform: 3 })
  yield* Console.log(`on the board: ${(yield* board.Read()).join("; ")}`)
  yield* Console.log(`the porter has walked ${yield* porter.Tired()} m`)

  // Who comes late gets the last two events first, and then what others get.
  const late = yield* GenServer.start(BoardServer)
  yield* Console.log(`on a new board: ${(yield* late.Read()).join("; ")}`)
  const { published, subscribers } = yield* Events.info(Departures)
  yield* Console.log(`${published} events, ${subscribers} subscribers`)

  yield* dispatcher.Leave()
  yield* Console.log(`from platform 3: ${(yield* Fiber.join(third)).join(", ")}`)
  const news = yield* Effect.repeat(board.Read(), {
    until: (lines) => lines.length === 4,
    schedule: Schedule.spaced("1 millis")
  })
  yield* Console.log(`on the board: ${news[3]}`)
  yield* dispatcher.Announce({ train: "the ghost train", platform: 3 }).pipe(
    Effect.catchReason("CallError", "NoProcess", () => Console.log("nobody is there to announce the ghost train"))
  )
  yield* Effect.catchTag(
    Events.publish(Departures, { train: "the ghost train", platform: 3 }),
    "EventsError",
    ({ reason }) => Console.log(`nor is there a topic: ${reason}`)
  )
}).pipe(Effect.scoped)

const AppLive = Supervisor.layer(Tree).pipe(Layer.provideMerge(Node.layerLocal()))

await Effect.runPromise(program.pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true)))
