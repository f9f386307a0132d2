/**
 * The node with the kitchen: a press that wants apples and a stream of pears. See README.md.
 */
import { Console, Effect, Logger, Stream } from "effect"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { GenStage } from "effect-otp/stage"
import { kitchen, nodeLayer, orchard } from "./Cluster.ts"
import { Fruit, Orchard } from "./Orchard.ts"

const Press = GenStage.producerConsumer({
  input: Fruit,
  event: Fruit,
  init: () => Effect.void,
  events: (apples) => GenStage.emit(apples.filter(({ number }) => number % 4 === 0))
})

const program = Effect.gen(function*() {
  const trees = yield* GenStage.named(Orchard, { name: "orchard", node: orchard })

  // Apples go through a stage on this node, of which the ripe ones come out.
  const press = yield* GenStage.start(Press)
  yield* GenStage.subscribe(press, trees, { partition: "apple" })
  const ripe = yield* GenStage.toStream(press, { maxDemand: 4 }).pipe(Stream.take(5), Stream.runCollect)
  yield* Console.log(`ripe apples: ${ripe.map(({ number }) => number).join(", ")}`)

  // Pears come as a stream: the pull is the demand.
  yield* GenStage.toStream(trees, { partition: "pear", maxDemand: 3 }).pipe(
    Stream.take(4),
    Stream.runForEach(({ kind, number }) => Console.log(`${kind} ${number}`))
  )
}).pipe(Effect.scoped)

// Crash reports go to standard error, what the program says to standard output.
NodeApplication.runMain(
  program.pipe(Effect.provide(nodeLayer(kitchen)), Effect.provideService(Logger.LogToStderr, true))
)
