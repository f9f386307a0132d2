/**
 * What our node sees of the others, counted: nodes that come and go, the ends of processes there, and what becomes of calls.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect/Scope"
import * as Node from "../../src/dist/Node.ts"
import * as Etf from "../../src/etf/EtfSchema.ts"
import * as GenServer from "../../src/otp/GenServer.ts"
import { CallError } from "../../src/process/CallError.ts"
import * as Message from "../../src/process/Message.ts"
import * as Process from "../../src/process/Process.ts"
import * as Protocol from "../../src/process/Protocol.ts"
import { DownSchema } from "../../src/process/Signal.ts"

const base: Protocol.Protocol<
  "Echo",
  Message.Message<"Echo", "Call", Schema.Struct<{ value: typeof Etf.Term }>, typeof Etf.Term, typeof Schema.Never>
> = Protocol.make("Echo", Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term }))

/** A server that gives back what it gets. */
export class Echo extends base {}

/** Starts it under the name that all nodes use. */
export const startEcho: Effect.Effect<unknown, unknown, Node.Node> = GenServer.startDetached(
  GenServer.make(Echo, {
    init: () => Effect.succeed(0),
    handlers: { Echo: ({ value }, state) => GenServer.reply(value, state) }
  }),
  undefined,
  { name: "echo" }
)

/** A book of counts by kind and node. */
export class Counts {
  private readonly counts: Map<string, number> = new Map()

  add(kind: string, node: string): void {
    const key = `${kind} ${node}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
  }

  snapshot(): ReadonlyMap<string, number> {
    return new Map(this.counts)
  }

  /** The sum of a kind over all nodes. */
  total(kind: string): number {
    let sum = 0
    for (const [key, count] of this.counts) if (key.startsWith(`${kind} `)) sum += count
    return sum
  }
}

const EventSchema = Schema.Union([
  DownSchema,
  Schema.Struct({ _tag: Schema.Literals(["NodeUp", "NodeDown"]), node: Schema.String }),
  Schema.Struct({ _tag: Schema.Literal("Again"), node: Schema.String })
])

/** A process that counts `nodeup`, `nodedown`, and with `down` the end of the echo of each node. */
export const watch = (counts: Counts): Effect.Effect<unknown, unknown, Node.Node | Scope> =>
  Process.spawn(() =>
    Effect.gen(function*() {
      yield* Node.monitorNodes
      const monitored = new Map<string, string>()
      const monitor = (node: string) =>
        Effect.map(Process.monitor({ name: "echo", node }), (ref) => {
          monitored.set(String(ref), node)
        })
      for (const node of yield* Node.nodes()) yield* monitor(node)
      for (;;) {
        const event = yield* Process.receive(EventSchema)
        switch (event._tag) {
          case "NodeUp":
            counts.add("nodeup", event.node)
            yield* monitor(event.node)
            break
          case "NodeDown":
            counts.add("nodedown", event.node)
            break
          case "Again":
            yield* monitor(event.node)
            break
          case "Down": {
            const node = monitored.get(String(event.ref))
            monitored.delete(String(event.ref))
            // It is not started yet.
            if (node !== undefined && event.reason._tag === "NoProc") {
              yield* Process.sendAfter(yield* Process.self, { _tag: "Again", node }, 50)
            } else counts.add(node === undefined ? "stray" : "down", node ?? "nobody")
          }
        }
      }
    })
  )

/** Calls the echo of a node without end; `failed` judges an error. Ends when `running` says so. */
export const caller = (
  node: string,
  pauseMillis: number,
  counts: Counts,
  running: () => boolean,
  failed: (reason: string) => void
): Effect.Effect<void, never, Node.Node> =>
  Effect.gen(function*() {
    const echo = yield* Node.remote(Echo, { name: "echo", node })
    for (let n = 0; running(); n++) {
      const outcome = yield* Effect.match(echo.Echo({ value: n }, { timeout: Duration.seconds(10) }), {
        onSuccess: (value) => value === n ? "answered" : "wrong",
        onFailure: (error) => error instanceof CallError ? error.reason._tag : "untyped"
      })
      counts.add(outcome, node)
      if (outcome !== "answered") failed(outcome)
      yield* Effect.sleep(outcome === "answered" ? pauseMillis : 50)
    }
  })
