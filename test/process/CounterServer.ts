/**
 * The server that these tests talk to: it counts, waits, answers later, fails, crashes and stops on request.
 */
import { Effect, Schema } from "effect"
import { ExitReason, GenServer, type Handler, Message, Protocol } from "effect-otp"

export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { max: Schema.Int }) {}

export class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch }),
  Message.Call("Get", { success: Schema.Int }),
  /** Answered when somebody casts `Answer`. */
  Message.Call("Later", { success: Schema.Int }),
  Message.Call("Sleep", { payload: { millis: Schema.Number } }),
  Message.Call("Crash", { payload: { defect: Schema.Unknown } }),
  Message.Call("StopAfterReply", { success: Schema.Int }),
  Message.Cast("Answer", { payload: { value: Schema.Int } }),
  Message.Cast("Note", { payload: { n: Schema.Int } }),
  Message.Cast("Set", { payload: Schema.Int }),
  Message.Cast("Stop"),
  Message.Info("Tick", { payload: { n: Schema.Int } })
) {}

/** What the server saw, besides its count. */
export interface Seen {
  readonly notes: Array<unknown>
  readonly ended: Array<ExitReason.ExitReason>
}

export const seen = (): Seen => ({ notes: [], ended: [] })

export const counterServer = (log: Seen = seen()) => {
  const waiting: Array<Handler.From<number>> = []
  return GenServer.make(Counter, {
    init: (from: number) => Effect.succeed(from),
    handlers: {
      Add: ({ n }, sum) => sum + n > 100 ? Effect.fail(new TooMuch({ max: 100 })) : GenServer.reply(sum + n, sum + n),
      Get: (_, sum) => GenServer.reply(sum, sum),
      Later: (_, sum, { from }) => {
        waiting.push(from)
        return GenServer.noReply(sum)
      },
      Sleep: ({ millis }, sum) => Effect.as(Effect.sleep(millis), GenServer.reply(undefined, sum)),
      Crash: ({ defect }) => Effect.die(defect),
      StopAfterReply: (_, sum) => GenServer.replyAndStop(sum),
      Answer: ({ value }, sum) =>
        Effect.as(Effect.forEach(waiting.splice(0), (from) => from.reply(value)), GenServer.next(sum)),
      Note: ({ n }, sum) => {
        log.notes.push(n)
        return GenServer.next(sum)
      },
      Set: (n) => GenServer.next(n),
      Stop: () => GenServer.stop(ExitReason.shutdownWith("asked")),
      Tick: ({ n }, sum) => {
        log.notes.push(`tick ${n}`)
        return GenServer.next(sum)
      },
      exit: (signal, sum) => {
        log.notes.push(signal)
        return GenServer.next(sum)
      },
      down: (signal, sum) => {
        log.notes.push(signal)
        return GenServer.next(sum)
      },
      unhandled: (term, sum) => {
        log.notes.push(term)
        return GenServer.next(sum)
      }
    },
    terminate: (reason) => Effect.sync(() => log.ended.push(reason)),
    format: (sum) => ({ sum })
  })
}
