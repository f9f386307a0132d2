/**
 * The registered process `statistics`: what has become of everything that was sent here. Each position is counted once,
 * where that is decided; this process only says it, so that nothing is forgotten when it is restarted.
 *
 * `received` is the sum of `stored`, `duplicates`, `invalid`, `dropped` and `waiting`. What was sent by UDP and is in none
 * of them was lost before anybody saw it: in the buffer of the socket (`unread`), or on the way.
 */
import { Effect, FileSystem, Option, Schema } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import { Alarms } from "./Alarms.ts"
import { Intake } from "./Ingest.ts"

/** Positions by what became of them. */
export const Tally = Schema.Struct({
  received: Schema.Int,
  stored: Schema.Int,
  duplicates: Schema.Int,
  /** Messages and positions that are none. */
  invalid: Schema.Int,
  /** Positions for which there was no room, or that could not be stored in time. */
  dropped: Schema.Int,
  /** Positions on their way. */
  waiting: Schema.Int
})

export const Alerts = Schema.Struct({
  raised: Schema.Int,
  delivered: Schema.Int,
  /** Alarms that were given up: too many waited. */
  dropped: Schema.Int,
  waiting: Schema.Int
})

export class Report extends Schema.Class<Report>("Report")({
  udp: Tally,
  tcp: Tally,
  /** Datagrams: what has come in, and what was lost before anybody read it, as far as the host says so. */
  datagrams: Schema.Struct({ received: Schema.Int, unread: Schema.Int }),
  emergencies: Alerts
}) {}

/** What may be said to the process: `gen_server:call(Statistics, get)` in Erlang. */
export class Statistics extends Protocol.make("Statistics", Message.Call("Get", { success: Report })) {}

/** What the host dropped because the buffer of the socket was full; only Linux says it. */
const kernelDrops = (port: number) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const table = yield* files.readFileString("/proc/net/udp")
    const local = `:${port.toString(16).toUpperCase().padStart(4, "0")} `
    return table.split("\n")
      .filter((line) => line.slice(0, 25).includes(local))
      .reduce((sum, line) => sum + Number(line.trim().split(/\s+/).at(-1)), 0)
  }).pipe(Effect.orElseSucceed(() => 0))

/** The datagrams of the receiver, while there is one. */
const datagrams = Effect.gen(function*() {
  const receiver = yield* GenServer.named(UdpServer.Control, "udp_receiver")
  const { dropped, lost, oversized, received } = yield* receiver.Stats()
  const { port } = yield* receiver.Address()
  return { received, unread: dropped + lost + oversized + (yield* kernelDrops(port)) }
}).pipe(Effect.option, Effect.map(Option.getOrElse(() => ({ received: 0, unread: 0 }))))

export const StatisticsServer = GenServer.make(Statistics, {
  init: () => Effect.all({ intake: Intake, alarms: Alarms }),
  handlers: {
    Get: (_, { alarms, intake }) =>
      Effect.map(datagrams, (datagrams) =>
        new Report({
          udp: { ...intake.tallies.udp },
          tcp: { ...intake.tallies.tcp },
          datagrams,
          emergencies: alarms.counts()
        }))
  }
})
