/**
 * A list of keys and values that several nodes keep in common, numbered without gaps: `Append` gives the number, the serial,
 * and `Get` finds a record by it.
 *
 * It is a {@link Raft.make} of a fixed protocol, for those who need agreement on an order and on nothing else: events to be
 * followed, work to be numbered, decisions to be looked up.
 *
 * Guarantees: serials begin with 1 and are never given twice; all members have the same records in the same order; what
 * `Append` has answered stays, until `keep` newer records have come.
 *
 * Refuses: to grow without end. The oldest records go in groups of {@link blockSize}, and asking for one is a
 * typed error that says what there is.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Message from "../process/Message.ts"
import * as Protocol from "../process/Protocol.ts"
import * as Raft from "./Raft.ts"
import { NoSerial } from "./RaftError.ts"

/**
 * So many records go at once when there are too many.
 *
 * @category models
 * @since 0.1.0
 */
export const blockSize = 256

/**
 * A record with its number.
 *
 * @category models
 * @since 0.1.0
 */
export interface Numbered<K, V> {
  readonly serial: number
  readonly key: K
  readonly value: V
}

/** A schema whose values need no services: what a message can carry. */
type Plain<A> = Schema.Codec<A, unknown>

/**
 * The messages of a list.
 *
 * - `Append` adds a record and answers its serial.
 * - `Get` finds a record, or fails with `NoSerial`.
 * - `After` has the records that follow a serial, oldest first and at most `limit` of them: for who catches up.
 * - `Last` is the serial of the newest record, 0 when there is none.
 *
 * @category models
 * @since 0.1.0
 */
export type Messages<K, V> =
  | Message.Message<
    "Append",
    "Call",
    Plain<{ readonly key: K; readonly value: V }>,
    typeof Schema.Int,
    typeof Schema.Never
  >
  | Message.Message<"Get", "Call", Plain<{ readonly serial: number }>, Plain<Numbered<K, V>>, typeof NoSerial>
  | Message.Message<
    "After",
    "Call",
    Plain<{ readonly serial: number; readonly limit: number }>,
    Plain<ReadonlyArray<Numbered<K, V>>>,
    typeof Schema.Never
  >
  | Message.Message<"Last", "Call", typeof Schema.Void, typeof Schema.Int, typeof Schema.Never>

/**
 * A list: its protocol for callers, and its server to be started on each node of the group.
 *
 * @category models
 * @since 0.1.0
 */
export interface RaftLog<out Name extends string, in out K, in out V> {
  readonly protocol: Protocol.Protocol<Name, Messages<K, V>>
  readonly server: Raft.Raft<Messages<K, V>>
}

/**
 * The records: all blocks but the last are full, so that the place of a serial is a division. An append copies one block and
 * the list of blocks, whatever the number of records.
 */
interface Records<K, V> {
  /** How many records have gone. */
  readonly gone: number
  readonly blocks: ReadonlyArray<ReadonlyArray<{ readonly key: K; readonly value: V }>>
}

const lengthOf = ({ blocks }: Records<unknown, unknown>): number =>
  blocks.length === 0 ? 0 : (blocks.length - 1) * blockSize + blocks[blocks.length - 1]!.length

const lastOf = (records: Records<unknown, unknown>): number => records.gone + lengthOf(records)

const append = <K, V>(records: Records<K, V>, key: K, value: V, keep: number): Records<K, V> => {
  const { blocks, gone } = records
  const last = blocks[blocks.length - 1]
  const added = last === undefined || last.length === blockSize
    ? [...blocks, [{ key, value }]]
    : [...blocks.slice(0, -1), [...last, { key, value }]]
  return lengthOf(records) + 1 - blockSize >= keep
    ? { gone: gone + blockSize, blocks: added.slice(1) }
    : { gone, blocks: added }
}

const recordAt = <K, V>({ blocks, gone }: Records<K, V>, serial: number): Numbered<K, V> | undefined => {
  const at = serial - gone - 1
  if (at < 0) return undefined
  const record = blocks[Math.floor(at / blockSize)]?.[at % blockSize]
  return record === undefined ? undefined : { serial, ...record }
}

/**
 * Makes a list with keys and values of two schemas.
 *
 * `keep` is how many records are there at least, once so many have come: 100 000 by default.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer } from "effect-otp"
 * import { RaftLog, RaftStorage } from "effect-otp/raft"
 *
 * const Orders = RaftLog.make("Orders", { key: Schema.String, value: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const orders = yield* GenServer.start(Orders.server, { group: "orders", members: ["a@127.0.0.1"] })
 *   const serial = yield* orders.Append({ key: "apples", value: 3 })
 *   return yield* orders.Get({ serial }) // { serial: 1, key: "apples", value: 3 }
 * }).pipe(Effect.scoped, Effect.provide(RaftStorage.memory))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, K, KI, V, VI>(name: Name, options: {
  readonly key: Schema.Codec<K, KI>
  readonly value: Schema.Codec<V, VI>
  readonly keep?: number | undefined
}): RaftLog<Name, K, V> => {
  const keep = Math.max(1, options.keep ?? 100_000)
  const record = { key: options.key, value: options.value }
  const Record = Schema.Struct({ serial: Schema.Int, ...record })
  const protocol = Protocol.make(
    name,
    Message.Call("Append", { payload: record, success: Schema.Int }),
    Message.Call("Get", { payload: { serial: Schema.Int }, success: Record, error: NoSerial }),
    Message.Call("After", {
      payload: { serial: Schema.Int, limit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })) },
      success: Schema.Array(Record)
    }),
    Message.Call("Last", { success: Schema.Int })
  )
  const state = Schema.Struct({ gone: Schema.Int, blocks: Schema.Array(Schema.Array(Schema.Struct(record))) })
  type R = Records<K, V>
  type Append = { readonly key: K; readonly value: V }
  // Structs of two schemas that are not known yet are, to the compiler, structs of anything: `Messages` and `Records` say what
  // they come to, here and in the result. The functions are annotated, because nothing is inferred from a generic protocol.
  const server = Raft.make(protocol as unknown as Protocol.Protocol<Name, Messages<K, V>>, {
    state: state as unknown as Schema.Codec<R>,
    initial: { gone: 0, blocks: [] } as R,
    reads: ["Get", "After", "Last"],
    apply: {
      Append: ({ key, value }: Append, records: R) => {
        const next = append(records, key, value, keep)
        return Raft.reply(lastOf(next), next)
      },
      Get: ({ serial }: { readonly serial: number }, records: R) =>
        recordAt(records, serial) ??
          Raft.fail(new NoSerial({ serial, first: records.gone + 1, last: lastOf(records) })),
      After: ({ limit, serial }: { readonly serial: number; readonly limit: number }, records: R) => {
        const first = Math.max(serial, records.gone) + 1
        const count = Math.max(0, Math.min(limit, lastOf(records) - first + 1))
        return Array.from({ length: count }, (_, i) => recordAt(records, first + i)!)
      },
      Last: (_: void, records: R) => lastOf(records)
    }
  } as never)
  return { protocol, server } as unknown as RaftLog<Name, K, V>
}
