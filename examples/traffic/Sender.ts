/**
 * The other side of the feed: sends positions to the receivers, by UDP or by TCP, and knows what became of them.
 *
 * By UDP each position is a datagram, as vehicles send them. With `acknowledged`, each asks for an answer, only so many are
 * under way at a time, and one that is not answered is sent again: it goes as fast as the application takes them. By TCP
 * positions go in messages; a connection that is lost is made again, and what was not answered is sent again.
 */
import * as NodeDatagramSocket from "@effect/platform-node/NodeDatagramSocket"
import * as MessagePack from "@msgpack/msgpack"
import { type Duration, Effect, Latch, Option, Schema, type Scope } from "effect"
import { GenServer, Message, type Node, Protocol } from "effect-otp"
import { TcpClient } from "effect-otp/net"
import type { TcpNetwork } from "effect-otp/net/TcpNetwork"
import type * as DatagramSocket from "effect/socket/DatagramSocket"
import * as Feed from "./Feed.ts"
import type { Position } from "./Position.ts"
import { framing } from "./Receivers.ts"

/** What has become of positions, as far as the application has said. */
export interface Outcome {
  /** Positions that are durable: stored, or there already. */
  readonly kept: number
  /** Those that the application refused, and those for which it never answered. */
  readonly dropped: number
  /** How many had to be sent again. */
  readonly again: number
}

export interface Sender {
  /** Sends positions. With acknowledgement, it waits until it is known what became of them. */
  readonly send: (positions: ReadonlyArray<Position>, options?: Feed.EncodeOptions) => Effect.Effect<Outcome>
}

/** Where the receiver is. */
export interface Address {
  readonly host: string
  readonly port: number
}

export const nothing: Outcome = { kept: 0, dropped: 0, again: 0 }

export const add = (a: Outcome, b: Outcome): Outcome => ({
  kept: a.kept + b.kept,
  dropped: a.dropped + b.dropped,
  again: a.again + b.again
})

const inParts = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size))

// --- UDP -------------------------------------------------------------------------------------------------------------

/** How many datagrams are under way at a time: fewer than what the buffer of a socket usually holds. */
const window = 200

/** How often a datagram is sent, each time with as long a wait, before it counts as lost. */
const attempts = 15

const Answer = Schema.Struct({ ack: Schema.Int, kept: Schema.Int, dropped: Schema.Int, invalid: Schema.Int })
const decodeAnswer = Option.liftThrowable((bytes: Uint8Array) =>
  Schema.decodeUnknownSync(Answer)(MessagePack.decode(bytes))
)

export const udp = (
  { host, port }: Address,
  options: { readonly acknowledged: boolean; readonly patience?: Duration.Input }
): Effect.Effect<Sender, DatagramSocket.DatagramSocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { acknowledged, patience = "500 millis" } = options
    const socket = yield* NodeDatagramSocket.make({
      peer: { address: host, port },
      bind: { address: host === "127.0.0.1" ? host : undefined, port: 0 },
      receiveBuffer: { capacity: 2 * window }
    })
    // Who writes needs the reader: it holds the socket.
    const reader = yield* socket.reader
    const writer = yield* socket.writer
    // Datagrams get lost, also between the program and the network: what counts is the answer.
    const write = (payloads: ReadonlyArray<Uint8Array>) =>
      payloads.length === 0
        ? Effect.void
        : Effect.ignore(writer.writeAll(payloads.map((payload) => ({ payload })) as [{ payload: Uint8Array }]))
    if (!acknowledged) {
      return {
        send: (positions, options) =>
          Effect.as(write(positions.map((position) => Feed.toMsgpack([position], options))), nothing)
      }
    }

    const open = new Map<number, Uint8Array>()
    const allAnswered = yield* Latch.make(false)
    let outcome = nothing
    yield* Effect.forkScoped(Effect.forever(Effect.map(reader.pull, (answers) => {
      for (const { payload } of answers) {
        const answer = decodeAnswer(payload)
        if (Option.isNone(answer) || !open.delete(answer.value.ack)) continue
        outcome = add(outcome, { ...answer.value, again: 0 })
      }
      if (open.size === 0) allAnswered.openUnsafe()
    })))

    let last = 0
    const sendWindow = (positions: ReadonlyArray<Position>, options: Feed.EncodeOptions | undefined) =>
      Effect.gen(function*() {
        outcome = nothing
        for (const position of positions) {
          last++
          open.set(last, Feed.toMsgpack([position], { ...options, ack: last }))
        }
        allAnswered.closeUnsafe()
        for (let attempt = 1; attempt <= attempts && open.size > 0; attempt++) {
          if (attempt > 1) outcome = add(outcome, { ...nothing, again: open.size })
          yield* write([...open.values()])
          yield* Effect.timeoutOption(allAnswered.await, patience)
        }
        const lost = open.size
        open.clear()
        return add(outcome, { ...nothing, dropped: lost })
      })
    return {
      send: (positions, options) =>
        Effect.map(
          Effect.forEach(inParts(positions, window), (part) => sendWindow(part, options)),
          (outcomes) => outcomes.reduce(add, nothing)
        )
    }
  })

// --- TCP -------------------------------------------------------------------------------------------------------------

/** How many positions a message has. */
const messageSize = 2000

const Settled = Schema.Struct({
  ack: Schema.Int,
  stored: Schema.Int,
  duplicates: Schema.Int,
  invalid: Schema.Int,
  dropped: Schema.Int
})
const decodeSettled = Schema.decodeUnknownSync(Settled)

/** What may be said to the connection. */
class TcpFeed extends Protocol.make(
  "TcpFeed",
  Message.Call("Send", { payload: { ack: Schema.Int, message: Schema.Uint8Array }, success: Settled })
) {}

/** The message that is not answered yet, and who waits for the answer. */
interface Open {
  readonly ack: number
  readonly message: Uint8Array
  readonly from: { readonly reply: (settled: typeof Settled.Type) => Effect.Effect<void> }
}

/** A connection that goes on where the last one ended: one message at a time, sent until it is answered. */
const TcpFeedClient = TcpClient.make(TcpFeed, {
  framing,
  init: () => Effect.succeed<Open | undefined>(undefined),
  connected: (open, { connection }) =>
    Effect.as(
      open === undefined ? Effect.void : Effect.orDie(connection.write({ framing: "packet", bytes: open.message })),
      GenServer.next(open)
    ),
  frame: ({ bytes }, open) => {
    const settled = decodeSettled(MessagePack.decode(bytes))
    return open?.ack === settled.ack
      ? Effect.as(open.from.reply(settled), GenServer.next<Open | undefined>(undefined))
      : GenServer.next(open)
  },
  handlers: {
    Send: ({ ack, message }, _, { connection, from }) =>
      // A connection that is not there is made again, and then it is sent.
      Effect.as(
        Effect.ignore(connection.write({ framing: "packet", bytes: message })),
        GenServer.noReply<Open | undefined>({ ack, message, from })
      )
  }
})

export const tcp = (address: Address): Effect.Effect<Sender, never, Scope.Scope | Node.Node | TcpNetwork> =>
  Effect.gen(function*() {
    const client = yield* Effect.orDie(GenServer.start(TcpFeedClient, address))
    let last = 0
    const sendPart = (positions: ReadonlyArray<Position>, options: Feed.EncodeOptions | undefined) => {
      const ack = ++last
      const message = Feed.toMsgpack(positions, { ...options, ack })
      return Effect.map(
        Effect.orDie(client.Send({ ack, message }, { timeout: "Infinity" })),
        ({ dropped, duplicates, stored }): Outcome => ({ kept: stored + duplicates, dropped, again: 0 })
      )
    }
    return {
      send: (positions, options) =>
        Effect.map(
          Effect.forEach(inParts(positions, messageSize), (part) => sendPart(part, options)),
          (outcomes) => outcomes.reduce(add, nothing)
        )
    }
  })
