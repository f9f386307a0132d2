/**
 * Sagas on two nodes over real sockets: their messages through the codec, and a link that is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Schema, Stream } from "effect"
import { Node, Process } from "effect-otp"
import { SagaError, SagaServer } from "effect-otp/saga"
import { Atom, Reference, type Term, Tuple } from "effect-otp/term"
import { freePort } from "./ErlangNode.ts"
import { eventually, member } from "./Member.ts"

class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", { hotel: Schema.String }) {}

const Hotel = SagaServer.contract("Hotel", {
  value: Schema.Struct({ hotel: Schema.String, nights: Schema.Int }),
  result: Schema.Struct({ room: Schema.Int, price: Schema.BigInt }),
  error: NoRoom,
  interim: Schema.String
})

const HotelSaga = SagaServer.make(Hotel, {
  begin: ({ hotel, nights }, transaction) =>
    Effect.gen(function*() {
      if (hotel === "full") return yield* new NoRoom({ hotel })
      yield* transaction.interim(`looking for ${nights} nights`)
      if (hotel !== "slow") yield* transaction.result({ room: 7, price: 2n ** 70n })
    })
})

const Trip = SagaServer.contract("Trip", {
  value: Schema.String,
  result: Schema.String,
  interim: Schema.String
})

/** Looks for a room on the other node; without one, stays at home. */
const TripSaga = SagaServer.make(Trip, {
  next: { hotel: Hotel },
  init: (hotels: string) => Effect.succeed(SagaServer.at(Hotel, { name: "hotels", node: hotels })),
  begin: (hotel, transaction) =>
    Effect.asVoid(
      transaction.next("hotel", transaction.process, { hotel, nights: 3 }, { trap: true })
    ),
  interim: ({ value }, _, transaction) => transaction.interim(value),
  result: ({ value }, _, transaction) => transaction.result(`room ${value.room} for ${value.price}`),
  trouble: (event, _, transaction) =>
    transaction.result(
      event._tag === "Failed" ? `at home: ${event.error.hotel} is full` : `at home: ${event.reason._tag}`
    )
})

const two = Effect.gen(function*() {
  const port = yield* freePort
  const a = yield* member("sagaa@127.0.0.1", port)
  const b = yield* member("sagab@127.0.0.1", port)
  yield* b.run(SagaServer.startDetached(HotelSaga, undefined, { name: "hotels" }))
  const trip = yield* a.run(SagaServer.startDetached(TripSaga, b.name))
  return { a, b, trip }
})

describe("sagas over the wire", () => {
  it.live(
    "results, interim results and typed errors come through as what they were",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { a, trip } = yield* two
        yield* a.run(Effect.gen(function*() {
          const running = yield* SagaServer.begin(trip, "grand")
          assert.strictEqual(yield* running.await, `room 7 for ${2n ** 70n}`)
          assert.deepStrictEqual(yield* Stream.runCollect(running.interims), ["looking for 3 nights"])
          assert.strictEqual(yield* SagaServer.run(trip, "full"), "at home: full is full")
        }))
      })),
    60_000
  )

  it.live(
    "[S29] a lifespan of two seconds is two seconds on the other node as well, and is told as what it is",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { a, b, trip } = yield* two
        const fiber = yield* Effect.forkChild(
          a.run(Effect.flip(SagaServer.run(trip, "slow", { lifespan: "2 seconds" })))
        )
        const held = b.run(SagaServer.status({ name: "hotels" }))
        assert.strictEqual((yield* eventually(held, { transactions: 1, limit: 0 })).transactions, 1)
        const error = yield* Fiber.join(fiber)
        assert.isTrue(error instanceof SagaError.SagaCancelled && error.reason._tag === "Lifespan")
        assert.strictEqual((yield* eventually(held, { transactions: 0, limit: 0 })).transactions, 0)
      })),
    60_000
  )

  it.live(
    "[S29] the loss of a node is told to its parent, and the transaction goes another way",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { a, b, trip } = yield* two
        const fiber = yield* Effect.forkChild(a.run(SagaServer.run(trip, "slow")))
        yield* eventually(b.run(SagaServer.status({ name: "hotels" })), { transactions: 1, limit: 0 })
        yield* b.stop
        assert.strictEqual(yield* Fiber.join(fiber), "at home: Lost")
      })),
    60_000
  )

  it.live(
    "what is not of the contract cancels the branch and reaches no callback",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { a, b } = yield* two
        // A contract of the same name from another version: its value is a string.
        const Old = SagaServer.contract("Hotel", { value: Schema.String, result: Schema.Int, error: NoRoom })
        const error = yield* a.run(Effect.flip(
          SagaServer.run(SagaServer.at(Old, { name: "hotels", node: b.name }), "grand")
        ))
        assert.isTrue(error instanceof SagaError.SagaCancelled && error.reason._tag === "Malformed", String(error))
        // A result that is none: the hotel of yesterday answers with a number.
        yield* b.run(SagaServer.startDetached(
          SagaServer.make(SagaServer.contract("Hotel", { value: Hotel.value, result: Schema.Int, error: NoRoom }), {
            begin: (_, transaction) => transaction.result(7)
          }),
          undefined,
          { name: "yesterday" }
        ))
        const again = yield* a.run(Effect.flip(
          SagaServer.run(SagaServer.at(Hotel, { name: "yesterday", node: b.name }), { hotel: "grand", nights: 1 })
        ))
        assert.isTrue(again instanceof SagaError.SagaCancelled && again.reason._tag === "Malformed", String(again))
      })),
    60_000
  )

  it.live(
    "a process that knows only tuples can be the parent of a branch, and is told when its own do not fit",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { a, b } = yield* two
        const Length = SagaServer.contract("Length", { value: Schema.String, result: Schema.Int })
        const LengthSaga = SagaServer.make(Length, { begin: (text, transaction) => transaction.result(text.length) })
        yield* b.run(SagaServer.startDetached(LengthSaga, undefined, { name: "lengths" }))
        const ask = (value: Term.Term) =>
          a.run(Process.run(Effect.gen(function*() {
            const self = yield* Process.self
            const id = yield* Node.makeReference
            const begin = new Tuple.Tuple([Atom.make("$saga_begin_length"), id, id, self, [], 3, 5000, value])
            yield* Process.send({ name: "lengths", node: b.name }, begin)
            const { elements } = Option.getOrThrow(
              yield* Process.receive(Schema.instanceOf(Tuple.Tuple), { timeout: "10 seconds" })
            )
            assert.isTrue(Reference.equals(elements[1] as Reference.Reference, id))
            return [String(elements[0]), elements[2]]
          })))
        assert.deepStrictEqual(yield* ask(new TextEncoder().encode("seven")), ["$saga_result_length", 5])
        assert.strictEqual((yield* ask(7))[0], "$saga_cancelled_length")
      })),
    60_000
  )
})
