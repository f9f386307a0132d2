/**
 * `slow`: answers after a while, and takes other calls meanwhile.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import { Etf } from "effect-otp/etf"

const Millis = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export class Slow extends Protocol.make(
  "Slow",
  Message.Call("Sleep", { payload: { ms: Millis }, success: Etf.Record("slept", { ms: Millis }) })
) {}

export const SlowServer = GenServer.make(Slow, {
  init: () => Effect.succeed(0),
  handlers: {
    Sleep: ({ ms }, state, { from }) =>
      Effect.sleep(ms).pipe(
        Effect.andThen(from.reply({ ms })),
        Effect.forkScoped,
        Effect.as(GenServer.noReply(state))
      ),
    unhandled: () => {}
  }
})
