/**
 * Rates of exchange: a supervised server, and all that others need to call it. Who calls need not be a process.
 */
import { Effect, Layer, Schema } from "effect"
import { GenServer, Message, Node, Protocol, Supervisor } from "effect-otp"

export class UnknownCurrency extends Schema.TaggedError<UnknownCurrency>()("UnknownCurrency", {
  currency: Schema.String
}) {}

export class Rates extends Protocol.make(
  "Rates",
  Message.Call("Convert", {
    payload: { euros: Schema.Number, to: Schema.String },
    success: Schema.Number,
    error: UnknownCurrency
  }),
  /** Takes as long as it takes. */
  Message.Call("Forecast", { success: Schema.Number }),
  Message.Call("Crash", { success: Schema.Void })
) {}

const RatesServer = GenServer.make(Rates, {
  init: (rates: { readonly [currency: string]: number }) => Effect.succeed(rates),
  handlers: {
    Convert: ({ euros, to }, rates) => {
      const rate = rates[to]
      return rate === undefined ? Effect.fail(new UnknownCurrency({ currency: to })) : euros * rate
    },
    Forecast: (_, _rates, context) => GenServer.cancellable(Effect.never, context),
    Crash: () => Effect.die(new Error("the exchange burns"))
  }
})

const Tree = Supervisor.make({
  children: [Supervisor.child("rates", RatesServer, { USD: 1.25, JPY: 160 }, { name: "rates" })]
})

/** The client as a service: of whoever has the name when a call is made, so that it survives crashes. */
export class RatesClient extends GenServer.Service<RatesClient>()("outside/RatesClient", Rates) {}

/** Node, tree and client: what a program provides itself with. */
export const RatesLive = GenServer.layerNamed(RatesClient, Rates, "rates").pipe(
  Layer.provideMerge(Supervisor.layer(Tree)),
  Layer.provide(Node.layerLocal())
)
