/**
 * The registered processes `tcp_receiver` and `udp_receiver`: the ways in.
 *
 * By TCP, a message is a line, or stands behind its length in four bytes; each is answered, in the same framing and format,
 * when its positions are durable. A connection has one message under way at a time: who sends faster waits. What is no
 * message is answered as well, and counted; only a frame that is too large ends its connection.
 *
 * By UDP, a datagram is a message. It is answered when it asks to be. What comes within twenty milliseconds, or while a batch
 * is being stored, makes up the next batch, so that batches grow with the load; what finds no room is dropped, and counted.
 */
import { Clock, Effect, Queue } from "effect"
import { GenServer } from "effect-otp"
import { Framing, TcpServer, UdpServer } from "effect-otp/net"
import * as Feed from "./Feed.ts"
import {
  type Batch,
  batchSize,
  countDropped,
  countReceived,
  Intake,
  type Source,
  submit,
  type Tally
} from "./Ingest.ts"
import type { Position } from "./Position.ts"

/** What became of a message. The numbers are its positions, all of them. */
interface Outcome {
  readonly stored: number
  readonly duplicates: number
  readonly dropped: number
  /** Why some were dropped. */
  readonly error?: string
}

/** Hands over what may be more than a batch. */
const submitAll = (source: Source, positions: ReadonlyArray<Position>) =>
  Effect.forEach(
    Array.from({ length: Math.ceil(positions.length / batchSize) }, (_, n) =>
      positions.slice(n * batchSize, (n + 1) * batchSize)),
    (part) =>
      submit(source, part)
  )

/** Counts what has come and hands it over, in one step: what is counted as waiting is waited for. */
const accept = (source: Source, decoded: Pick<Feed.Decoded, "positions" | "invalid">) =>
  Effect.uninterruptible(Effect.flatMap(Intake, ({ tallies }) => {
    countReceived(tallies[source], decoded)
    return submitAll(source, decoded.positions)
  }))

/** Waits until it is known what has become of batches. */
const outcomeOf = (batches: ReadonlyArray<Batch>): Effect.Effect<Outcome> =>
  Effect.map(
    Effect.forEach(batches, (batch) =>
      Effect.match(batch.settled, {
        onSuccess: ({ duplicates, stored }): Outcome => ({ stored, duplicates, dropped: 0 }),
        onFailure: (error): Outcome => ({ stored: 0, duplicates: 0, dropped: error.positions, error: error.message })
      })),
    (outcomes) =>
      outcomes.reduce((sum, one) => ({
        stored: sum.stored + one.stored,
        duplicates: sum.duplicates + one.duplicates,
        dropped: sum.dropped + one.dropped,
        ...(one.error === undefined ? {} : { error: one.error })
      }), { stored: 0, duplicates: 0, dropped: 0 })
  )

// --- TCP -------------------------------------------------------------------------------------------------------------

/** A message on a connection, and how it was framed: the answer is framed alike. */
export interface Frame {
  readonly framing: "line" | "packet"
  readonly bytes: Uint8Array
}

const newline = 10

/** How long a line may be: its end is looked for from its beginning, however small the pieces it comes in. */
const maxLine = 131_072

/** A packet begins with its length, of which the first byte is 0; no line does. */
export const framing = Framing.custom<Frame, Frame>({
  name: "feed",
  maxBytes: Feed.maxBytes + 4,
  decode: (bytes) => {
    if (bytes[0] === 0) {
      if (bytes.length < 4) return Framing.more(4)
      const end = 4 + (bytes[1]! << 16 | bytes[2]! << 8 | bytes[3]!)
      return bytes.length < end
        ? Framing.more(end)
        : Framing.frame({ framing: "packet", bytes: bytes.slice(4, end) }, end)
    }
    const end = bytes.indexOf(newline)
    if (end > maxLine || end < 0 && bytes.length > maxLine) {
      return Framing.broken(`a line has more than ${maxLine} bytes: send a message of that size behind its length`)
    }
    return end < 0 ? Framing.more() : Framing.frame({ framing: "line", bytes: bytes.slice(0, end) }, end + 1)
  },
  encode: ({ bytes, framing }) => {
    const header = framing === "packet" ? [0, bytes.length >> 16, bytes.length >> 8 & 255, bytes.length & 255] : []
    const tail = framing === "packet" ? [] : [newline]
    return Uint8Array.from([...header, ...bytes, ...tail])
  }
})

/** The state of a connection is how many messages have come. A message without a name is known by its number. */
export const TcpReceiver = TcpServer.make({
  framing,
  // Each may have a message of the largest size under way.
  maxConnections: 256,
  connect: () => Effect.succeed(0),
  frame: ({ bytes, framing }, count, { connection }) =>
    Effect.gen(function*() {
      const { ack = count + 1, format, invalid, positions } = Feed.decode(bytes, yield* Clock.currentTimeMillis)
      const outcome = yield* outcomeOf(yield* accept("tcp", { positions, invalid }))
      // A line is text.
      const answer = Feed.encodeAnswer(framing === "line" ? "json" : format, { ack, ...outcome, invalid })
      yield* connection.write({ framing, bytes: answer })
      return GenServer.next(count + 1)
    })
})

// --- UDP -------------------------------------------------------------------------------------------------------------

/** A datagram that waits for its batch. */
interface Waiting extends Feed.Decoded {
  readonly reply: (payload: Uint8Array) => Effect.Effect<void, unknown>
}

/** How many datagrams may wait for one handler while a batch is being stored. */
const maxWaiting = 16_384

/** Answers a datagram that has asked. `kept` are the positions that are durable: stored, or there already. */
const answer = ({ ack, format, invalid, positions, reply }: Waiting, isStored: boolean) =>
  ack === undefined ? Effect.void : Effect.ignore(reply(Feed.encodeAnswer(format, {
    ack,
    kept: isStored ? positions.length : 0,
    invalid,
    dropped: isStored ? 0 : positions.length
  })))

const positionsOf = (waiting: ReadonlyArray<Waiting>): ReadonlyArray<Position> =>
  waiting.flatMap(({ positions }) => positions)

/** For how long a batch that is not full waits for more: the transaction is what costs. */
const gatherTime = "20 millis"

/** Waits until there is a batch. */
const gather = (queue: Queue.Queue<Waiting>) =>
  Effect.flatMap(
    Queue.peek(queue),
    () => Queue.sizeUnsafe(queue) < batchSize ? Effect.sleep(gatherTime) : Effect.void
  )

/** Stores what waits, batch after batch. When a part of it was not stored, all is to be sent again: duplicates do no harm. */
const pump = (queue: Queue.Queue<Waiting>) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      yield* restore(gather(queue))
      // From the queue into batches in one step: what is in neither would be forgotten.
      const waiting = yield* restore(Queue.takeBetween(queue, 1, batchSize))
      const { dropped } = yield* restore(outcomeOf(yield* submitAll("udp", positionsOf(waiting))))
      yield* restore(Effect.forEach(waiting, (one) => answer(one, dropped === 0), { discard: true }))
    })
  )

interface Handler {
  readonly queue: Queue.Queue<Waiting>
  readonly tally: Tally
  readonly clock: Clock.Clock
}

export const UdpReceiver = UdpServer.make({
  handlers: 4,
  spread: "sender",
  capacity: 65_536,
  init: () =>
    Effect.gen(function*() {
      const { tallies } = yield* Intake
      const queue = yield* Queue.dropping<Waiting>(maxWaiting)
      // At the end, what waits is handed over; nobody is left to answer.
      yield* Effect.addFinalizer(() =>
        Effect.flatMap(Queue.clear(queue), (waiting) => submitAll("udp", positionsOf(waiting)))
      )
      yield* Effect.forkScoped(Effect.forever(pump(queue)))
      const handler: Handler = { queue, tally: tallies.udp, clock: yield* Clock.Clock }
      return handler
    }),
  // No Effect unless it is to be answered at once: there are thousands in a second.
  datagram: ({ payload, reply }, handler) => {
    const { clock, queue, tally } = handler
    const waiting = { ...Feed.decode(payload, clock.currentTimeMillisUnsafe()), reply }
    const { length } = waiting.positions
    countReceived(tally, waiting)
    if (length > 0) {
      if (Queue.offerUnsafe(queue, waiting)) return GenServer.next(handler)
      countDropped(tally, length)
    }
    return waiting.ack === undefined
      ? GenServer.next(handler)
      : Effect.as(answer(waiting, length === 0), GenServer.next(handler))
  }
})
