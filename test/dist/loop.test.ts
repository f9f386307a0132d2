/**
 * A node whose event loop is held up by user code: its ticks leave in time all the same, and a warning names the process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, References, Schema } from "effect"
import { GenServer, Message, Process, Protocol } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { erlangAvailable } from "../erlang/escript.ts"
import { cookie, ErlangEpmd, startErlang } from "./ErlangNode.ts"

const busy = (millis: number): void => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

class Hog extends Protocol.make("Hog", Message.Call("Work", { payload: { millis: Schema.Int } })) {}

const HogServer = GenServer.make(Hog, {
  init: () => Effect.succeed(0),
  handlers: {
    Work: ({ millis }, state) => {
      busy(millis)
      return GenServer.reply(undefined, state + 1)
    }
  }
})

/** Runs a program in a node that ticks every half second, and gives the warnings it logged. */
const warnings = <E>(
  program: (port: number) => Effect.Effect<void, E, Node.Node>
): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") lines.push(String(message))
    })
    yield* Effect.gen(function*() {
      const { port } = yield* ErlangEpmd
      yield* Effect.provide(
        program(port),
        Node.layer({
          name: "hogged@127.0.0.1",
          cookie: Redacted.make(cookie),
          discovery: { port },
          netTickTime: "2 seconds"
        }).pipe(Layer.provide(NodeNetwork.layer))
      )
    }).pipe(Effect.provide(Layer.mergeAll(
      ErlangEpmd.layer,
      Logger.layer([logger]),
      Layer.succeed(References.MinimumLogLevel, "Warn")
    )))
    return lines
  })

describe.skipIf(!erlangAvailable)("an event loop that is held up", () => {
  it.live(
    "[F18] ticks leave in time, and warnings name a server and a low-level process",
    () =>
      Effect.gen(function*() {
        const lines = yield* warnings((port) =>
          Effect.scoped(Effect.gen(function*() {
            const erl = yield* startErlang("tick_peer@127.0.0.1", {
              epmdPort: port,
              arguments: ["-kernel", "net_ticktime", "2"]
            })
            assert.strictEqual(yield* Node.ping(erl.name), "pong")
            const server = yield* GenServer.start(HogServer, undefined, { name: "hog_server" })
            yield* Process.spawn(
              () => Effect.forever(Effect.andThen(Effect.sleep(1000), Effect.sync(() => busy(200)))),
              {
                name: "hog_process"
              }
            )
            for (let i = 0; i < 6; i++) {
              yield* Effect.sleep(800)
              yield* server.Work({ millis: 200 })
              assert.deepStrictEqual(yield* Node.nodes(), [erl.name])
            }
            assert.strictEqual(yield* erl.eval("length(nodes())"), "1")
          }))
        )
        assert.isTrue(
          lines.some((line) => /hog_server.* held up the event loop for 2\d\d ms/.test(line)),
          lines.join("\n")
        )
        assert.isTrue(
          lines.some((line) => /hog_process.* held up the event loop for \d+ ms/.test(line)),
          lines.join("\n")
        )
      }),
    30_000
  )
})
