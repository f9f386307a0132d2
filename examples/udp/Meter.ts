/**
 * Measurements over UDP: `name value`, from anybody. Four handlers, each with the sums of its senders; what is no
 * measurement is counted and forgotten.
 */
import { Effect, Schema } from "effect"
import { GenServer, Supervisor } from "effect-otp"
import { UdpServer } from "effect-otp/net"

/** `name value` as a value. */
export const Measurement = UdpServer.Text.pipe(
  Schema.decodeTo(Schema.TemplateLiteralParser([Schema.String, " ", Schema.Int]))
)

/** Each sender has one handler, so that its sums are in one place. */
export const Meter = UdpServer.make({
  schema: Measurement,
  handlers: 4,
  spread: "sender",
  init: () => Effect.succeed<ReadonlyMap<string, number>>(new Map()),
  datagram: ({ payload: [name, , value], reply, sender }, sums) => {
    const key = `${sender.port} ${name}`
    const sum = (sums.get(key) ?? 0) + value
    return Effect.as(reply([name, " ", sum]), GenServer.next(new Map(sums).set(key, sum)))
  }
})

export const Tree = Supervisor.make({
  children: [Supervisor.child("meter", Meter, undefined, { name: "meter" })]
})
