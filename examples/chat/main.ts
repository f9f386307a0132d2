/**
 * The program of one person: what they type goes to their process, what others say comes out of it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Console, Effect, Layer, Logger, Stdio, Stream } from "effect"
import { GenServer, Node, ProcessGroup } from "effect-otp"
import { ChatterServer } from "./Chatter.ts"
import * as Nodes from "./nodes.ts"

const chat = (person: string) =>
  Effect.gen(function*() {
    const chatter = yield* GenServer.start(ChatterServer, person)
    // Who is not there yet will connect when they come.
    for (const other of Nodes.people) {
      if (other !== person) yield* Effect.ignore(Node.connect(Nodes.nodeOf(other)))
    }
    yield* Console.log(`* hello ${person}`)
    const { stdin } = yield* Stdio.Stdio
    yield* stdin.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.mapEffect((line) => chatter.Type({ line })),
      Stream.takeWhile((more) => more),
      Stream.runDrain
    )
  }).pipe(
    Effect.scoped,
    // An open keyboard would keep the program alive.
    Effect.ensuring(Effect.sync(() => process.stdin.destroy())),
    Effect.provide(Layer.provideMerge(ProcessGroup.layer(), Nodes.layer(person)))
  )

const program = Effect.succeed(process.argv[2] ?? "").pipe(
  Effect.filterOrFail(
    (person) => Nodes.people.includes(person),
    () => new Error(`who are you? One of: ${Nodes.people.join(", ")}`)
  ),
  Effect.flatMap(chat)
)

// Crash reports go to standard error, what is said to standard output.
NodeRuntime.runMain(
  program.pipe(Effect.provide(NodeStdio.layer), Effect.provideService(Logger.LogToStderr, true))
)
