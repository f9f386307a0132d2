/**
 * What may be said to a TCP server: where it listens, what it has counted, to take a new certificate, to come to its end.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Message from "../process/Message.ts"
import * as Protocol from "../process/Protocol.ts"
import { NetError } from "./NetError.ts"
import { HostPort } from "./TcpNetwork.ts"

type Count = typeof Schema.Int

/**
 * What a TCP server has counted since it started.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Stats: Schema.Struct<{
  readonly accepted: Count
  readonly refused: Count
  readonly active: Count
  readonly framesIn: Count
  readonly framesOut: Count
  readonly bytesIn: Count
  readonly bytesOut: Count
  readonly notOffered: Count
  readonly restarts: Count
  readonly ended: Schema.Struct<{
    readonly PeerClosed: Count
    readonly Closed: Count
    readonly Idle: Count
    readonly Deadline: Count
    readonly Slow: Count
    readonly BadFrame: Count
    readonly Broken: Count
    readonly Crashed: Count
  }>
}> = Schema.Struct({
  /** Connections that came in. */
  accepted: Schema.Int,
  /** Connections beyond the limit, and those that `connect` did not want. */
  refused: Schema.Int,
  /** Connections that are there now. */
  active: Schema.Int,
  framesIn: Schema.Int,
  framesOut: Schema.Int,
  bytesIn: Schema.Int,
  bytesOut: Schema.Int,
  /** Frames that `offer` did not write. */
  notOffered: Schema.Int,
  /** How often a handler of a pool was replaced. */
  restarts: Schema.Int,
  /** How connections ended. */
  ended: Schema.Struct({
    PeerClosed: Schema.Int,
    Closed: Schema.Int,
    Idle: Schema.Int,
    Deadline: Schema.Int,
    Slow: Schema.Int,
    BadFrame: Schema.Int,
    Broken: Schema.Int,
    Crashed: Schema.Int
  })
})

/**
 * What a TCP server has counted since it started.
 *
 * @category models
 * @since 0.1.0
 */
export type Stats = typeof Stats.Type

/**
 * A connection of a TCP server, as an observer sees it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ConnectionInfo: Schema.Struct<{
  readonly id: Count
  readonly peer: typeof HostPort
  readonly isOpen: typeof Schema.Boolean
}> = Schema.Struct({ id: Schema.Int, peer: HostPort, isOpen: Schema.Boolean })

/**
 * A connection of a TCP server, as an observer sees it.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionInfo = typeof ConnectionInfo.Type

/**
 * How a server came to its end: connections that ended by themselves in time, and those that were cut.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Drained: Schema.Struct<{ readonly finished: Count; readonly cut: Count }> = Schema.Struct({
  finished: Schema.Int,
  cut: Schema.Int
})

type Call<Tag extends string, Payload extends Schema.Top, Success extends Schema.Top, Error extends Schema.Top> =
  Message.Message<Tag, "Call", Payload, Success, Error>

const Address: Call<"Address", Schema.Void, typeof HostPort, Schema.Never> = Message.Call("Address", {
  success: HostPort
})

const StatsCall: Call<"Stats", Schema.Void, typeof Stats, Schema.Never> = Message.Call("Stats", { success: Stats })

const Connections: Call<"Connections", Schema.Void, Schema.$Array<typeof ConnectionInfo>, Schema.Never> = Message.Call(
  "Connections",
  { success: Schema.Array(ConnectionInfo) }
)

const Drain: Call<
  "Drain",
  Schema.Struct<{ readonly timeoutMillis: typeof Schema.Number }>,
  typeof Drained,
  Schema.Never
> = Message.Call("Drain", { payload: { timeoutMillis: Schema.Number }, success: Drained })

const Reload: Call<"Reload", Schema.Void, Schema.Void, typeof NetError> = Message.Call("Reload", { error: NetError })

/**
 * The messages of a TCP server.
 *
 * @category models
 * @since 0.1.0
 */
export type ControlMessage = typeof Address | typeof StatsCall | typeof Connections | typeof Drain | typeof Reload

/**
 * The protocol of a TCP server.
 *
 * - `Address`: where it listens; the port that was taken for port 0.
 * - `Stats`: what it has counted.
 * - `Connections`: who is connected.
 * - `Drain`: it takes no more connections, and ends those that are there: each as soon as no frame of it is under way,
 *   and what is left after `timeoutMillis` at once. The reply comes when all have ended: pass a longer call `timeout`.
 * - `Reload`: it loads its certificate again, for the connections from then on. When that fails, the old one stays.
 *
 * @category protocols
 * @since 0.1.0
 */
export const Control: Protocol.Protocol<"TcpServer", ControlMessage> = Protocol.make(
  "TcpServer",
  Address,
  StatsCall,
  Connections,
  Drain,
  Reload
)
