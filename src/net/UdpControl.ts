/**
 * What may be said to a UDP server: where it is bound, and what it has counted.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Message from "../process/Message.ts"
import * as Protocol from "../process/Protocol.ts"
import { HostPort } from "./TcpNetwork.ts"

type Count = typeof Schema.Int

/**
 * What a UDP server has counted since it started. What was received was handled, dropped, refused, or waits.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Stats: Schema.Struct<{
  readonly received: Count
  readonly receivedBytes: Count
  readonly handled: Count
  readonly dropped: Count
  readonly lost: Count
  readonly oversized: Count
  readonly malformed: Count
  readonly waiting: Count
  readonly restarts: Count
  readonly sent: Count
  readonly notSent: Count
}> = Schema.Struct({
  received: Schema.Int,
  receivedBytes: Schema.Int,
  /** Datagrams whose handler has begun. */
  handled: Schema.Int,
  /** Datagrams for which the queue had no room. */
  dropped: Schema.Int,
  /** Datagrams that waited for a handler when it crashed. */
  lost: Schema.Int,
  /** Datagrams beyond `maxBytes`. */
  oversized: Schema.Int,
  /** Datagrams that do not fit the schema. */
  malformed: Schema.Int,
  waiting: Schema.Int,
  /** How often a handler was replaced. */
  restarts: Schema.Int,
  sent: Schema.Int,
  /** Replies and datagrams that the host refused. */
  notSent: Schema.Int
})

/**
 * What a UDP server has counted since it started.
 *
 * @category models
 * @since 0.1.0
 */
export type Stats = typeof Stats.Type

type Call<Tag extends string, Success extends Schema.Top> = Message.Message<
  Tag,
  "Call",
  Schema.Void,
  Success,
  Schema.Never
>

const Address: Call<"Address", typeof HostPort> = Message.Call("Address", { success: HostPort })

const StatsCall: Call<"Stats", typeof Stats> = Message.Call("Stats", { success: Stats })

/**
 * The messages of a UDP server.
 *
 * @category models
 * @since 0.1.0
 */
export type ControlMessage = typeof Address | typeof StatsCall

/**
 * The protocol of a UDP server.
 *
 * - `Address`: where it is bound.
 * - `Stats`: what it has counted.
 *
 * @category protocols
 * @since 0.1.0
 */
export const Control: Protocol.Protocol<"UdpServer", ControlMessage> = Protocol.make("UdpServer", Address, StatsCall)
