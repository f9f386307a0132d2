/**
 * A line server and three clients of it: what they say to each other, and what a crash costs. With a port as argument it
 * serves until Ctrl-C instead: `node main.ts 7000`, then `nc 127.0.0.1 7000`.
 */
import { Console, Effect, Layer, Logger, Queue, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { Framing, TcpClient, TcpServer } from "effect-otp/net"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { Tree } from "./Room.ts"

/** What may be said to a client: a line, for the server. */
class Talk extends Protocol.make("Talk", Message.Cast("Say", { payload: { line: Schema.String } })) {}

/** A client that says what it is told, and keeps what it hears. It connects again when it has to. */
const client = (port: number) =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<string>()
    const hangUps = yield* Queue.unbounded<string>()
    const talk = yield* GenServer.start(
      TcpClient.make(Talk, {
        framing: Framing.lines(),
        init: () => Effect.void,
        frame: (line) => Effect.asVoid(Queue.offer(heard, line)),
        disconnected: (end) => Effect.asVoid(Queue.offer(hangUps, end._tag)),
        handlers: {
          Say: ({ line }, _, { connection }) => connection.write(line)
        }
      }),
      { host: "127.0.0.1", port }
    )
    return { say: (line: string) => talk.Say({ line }), next: Queue.take(heard), hangUp: Queue.take(hangUps) }
  })

const show = (who: string, line: string) => Console.log(`${who} hears: ${line}`)

const demonstrate = Effect.gen(function*() {
  const server = yield* GenServer.named(TcpServer.Control, "lines")
  const { port } = yield* server.Address()

  const anna = yield* client(port)
  yield* show("anna", yield* anna.next)
  const ben = yield* client(port)
  yield* show("ben", yield* ben.next)

  yield* anna.say("is anybody there?")
  yield* show("anna", yield* anna.next)
  yield* ben.say("all: good morning")
  yield* show("anna", yield* anna.next)
  yield* show("ben", yield* ben.next)

  // A handler that crashes takes its connection with it. The client connects again; ben does not notice.
  yield* anna.say("crash")
  yield* anna.hangUp
  yield* show("anna", yield* anna.next)
  yield* ben.say("still here")
  yield* show("ben", yield* ben.next)

  // A line that is too long is no line.
  yield* ben.say("x".repeat(1000))
  yield* ben.hangUp
  const { accepted, ended } = yield* Effect.repeat(server.Stats(), { until: ({ ended }) => ended.BadFrame === 1 })
  yield* Console.log(`${accepted} connections, ${ended.Crashed} crashed, ${ended.BadFrame} sent nonsense`)
}).pipe(Effect.scoped)

const port = Number(process.argv[2] ?? 0)
const program = port === 0
  ? demonstrate
  : Effect.andThen(Console.log(`listening on 127.0.0.1:${port}`), Process.awaitExit({ name: "lines" }))

const AppLive = Supervisor.layer(Tree(port)).pipe(
  Layer.provideMerge(Layer.merge(Node.layerLocal(), NodeTcpNetwork.layer))
)

// Crash reports go to standard error, what the program says to standard output.
await Effect.runPromise(program.pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true)))
