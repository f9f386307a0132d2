/**
 * A gateway: HTTP in front, processes behind. Routes run in handlers of their own and ask a stock that is a process
 * somewhere; a socket says what changes.
 */
import { Effect, Layer, Schema } from "effect"
import { Events, GenServer, Message, Protocol, Supervisor } from "effect-otp"
import { Framing, TcpServer, WebServer } from "effect-otp/net"
import { HttpRouter, HttpServerResponse } from "effect/http"

/** What the stock refuses: more than there is. */
export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { left: Schema.Int }) {}

/** What may be said to the stock. */
export class Stock extends Protocol.make(
  "Stock",
  Message.Call("Take", { payload: { count: Schema.Int }, success: Schema.Int, error: SoldOut })
) {}

export const Changes = Events.topic("StockChanged", { left: Schema.Int })

export const StockServer = GenServer.make(Stock, {
  init: (left: number) => Effect.as(Events.open(Changes), left),
  handlers: {
    Take: ({ count }, left) =>
      count > left
        ? Effect.fail(new SoldOut({ left }))
        : Effect.as(
          Effect.orDie(Events.publish(Changes, { left: left - count })),
          GenServer.reply(left - count, left - count)
        )
  }
})

export const Tree = Supervisor.make({
  children: [Supervisor.child("stock", StockServer, 10, { name: "stock" })]
})

/** Takes from the stock. That there is not enough is the business of the route; that nobody answers is not. */
const take = Effect.gen(function*() {
  const { count } = yield* HttpRouter.params
  const stock = yield* GenServer.named(Stock, "stock")
  const left = yield* stock.Take({ count: Number(count) })
  return HttpServerResponse.jsonUnsafe({ left })
}).pipe(
  Effect.catchTag("SoldOut", ({ left }) => Effect.succeed(HttpServerResponse.jsonUnsafe({ left }, { status: 409 }))),
  WebServer.respond()
)

/** Four processes for the stock; one, which may take half a second, for what is known to be slow. */
const Routes = Layer.mergeAll(
  HttpRouter.add("POST", "/take/:count", take),
  HttpRouter.add("GET", "/crash", Effect.die(new Error("somebody asked for it")))
).pipe(Layer.provide(WebServer.handlers({ size: 4 })))

const Slow = HttpRouter.add("GET", "/slow", Effect.as(Effect.sleep("1 hour"), HttpServerResponse.empty())).pipe(
  Layer.provide(WebServer.handlers({ size: 1, queue: 1, timeout: "500 millis", retryAfter: 2 }))
)

/** Whoever is connected hears what is left: each connection is a process, and subscribes. */
class Listener extends Protocol.make("Listener", Changes.message) {}

const Changed = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const { upgrade } = yield* WebServer.webSockets(TcpServer.make(Listener, {
      framing: Framing.message(),
      connect: ({ connection }) => Effect.andThen(Events.subscribe(Changes), connection.write("listening")),
      frame: () => {},
      handlers: {
        StockChanged: ({ left }, _, { connection }) => connection.write(`${left} left`)
      }
    }))
    yield* router.add("GET", "/changes", upgrade)
  })
)

export const Web = HttpRouter.serve(Layer.mergeAll(Routes, Slow, Changed), {
  disableLogger: true,
  disableListenLog: true
})
