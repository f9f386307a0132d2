/**
 * UDP servers: datagrams, handled by a number of processes.
 *
 * `make` gives a `GenServer`: started, named, supervised and provided as a layer like any other. Its process receives; a
 * pool of handlers, each with a state of its own, gets the datagrams in turn or by sender. The socket is Effect's
 * `DatagramSocket`, whose layer says where to bind (`NodeDatagramSocket.layer` of `@effect/platform-node`).
 *
 * Guarantees: a reply goes to the sender of its datagram, however late and whatever came meanwhile. A payload belongs to
 * who got it, and is never overwritten. An empty datagram is a datagram; one that is too large or does not fit its schema
 * is dropped and counted. What finds no room in the queue is dropped and counted: a flood costs its own datagrams and
 * nothing else. A handler that crashes loses the datagrams that wait for it, is replaced and counted; the socket and the
 * other handlers do not notice.
 *
 * Datagrams of one sender are handled in order only with `spread: "sender"`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as DatagramSocket from "effect/socket/DatagramSocket"
import * as GenServer from "../otp/GenServer.ts"
import type { SupervisorStartError } from "../otp/OtpError.ts"
import * as Supervisor from "../otp/Supervisor.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import type { CastResult, Context as HandlerContext } from "../process/Handler.ts"
import * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Protocol from "../process/Protocol.ts"
import { adapt, contextOf, type Live } from "./internal/Callbacks.ts"
import { type HandlerRef, Received, UdpIntake } from "./internal/UdpIntake.ts"
import { Control, type ControlMessage } from "./UdpControl.ts"

export { Control, type ControlMessage, Stats } from "./UdpControl.ts"

const encoder = new TextEncoder()
/** Fatal: what is no UTF-8 is refused, not repaired. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * A datagram that has come in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Datagram<in out A> {
  readonly payload: A
  /** Who has sent it, as far as UDP knows: the address may be forged. */
  readonly sender: NetAddress.InetAddress
  /** Sends a datagram back to this sender. */
  readonly reply: (payload: A) => Effect.Effect<void, DatagramSocket.DatagramSocketError>
}

/**
 * What a handler may know besides: its number, and how to send to others.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context<in A> extends HandlerContext {
  /** The number of this handler, from 0. */
  readonly handler: number
  /** Sends a datagram from the address of the server. */
  readonly send: (payload: A, to: NetAddress.InetAddress) => Effect.Effect<void, DatagramSocket.DatagramSocketError>
}

/**
 * A group of multicast to belong to.
 *
 * @category models
 * @since 0.1.0
 */
export type Group = Parameters<DatagramSocket.Reader["joinMulticast"]>[0]

/**
 * Text in UTF-8, as the schema of a payload. What is no UTF-8 does not fit.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Text: Schema.Codec<string, Uint8Array> = Schema.Uint8Array.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((bytes: Uint8Array) =>
      Effect.try({
        try: () => decoder.decode(bytes),
        catch: () => new SchemaIssue.InvalidValue({ message: "Expected UTF-8" })
      })
    ),
    encode: SchemaGetter.transform((text: string) => encoder.encode(text))
  })
)

/**
 * The parts of a server. `A` is what a payload is, `S` the state of a handler.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, S, E, RI, F extends CastResult<S, never>> {
  /** The payloads, as values of a schema whose encoded side is bytes; the bytes themselves without it. */
  readonly schema?: Schema.Codec<A, Uint8Array>
  /** Makes the first state of a handler, from its number. */
  readonly init: (handler: number) => Effect.Effect<S, E, RI>
  /** Handles a datagram. A failed `reply` or `send` that nobody catches is counted, and changes nothing. */
  readonly datagram: (datagram: Datagram<A>, state: NoInfer<S>, context: Context<A>) => F
  /** How many handlers there are: 1. */
  readonly handlers?: number
  /** Who gets a datagram: the handlers in turn (`round_robin`), or the handler of its sender (`sender`). */
  readonly spread?: "round_robin" | "sender"
  /** How many datagrams may wait for all handlers together: 512. */
  readonly capacity?: number
  /** The largest datagram that is taken: 65 507 bytes, which is as large as they get. */
  readonly maxBytes?: number
  /** Groups to belong to from the start. */
  readonly groups?: ReadonlyArray<Group>
  /** How many handlers may crash within `period` before the server itself gives up: 10 000. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
}

/** The services of what a callback returns. */
type ServicesOf<Result> = Result extends Effect.Effect<any, any, infer R> ? R : never

/** What the process provides itself. */
type Provided = Scope.Scope | CurrentProcess

/**
 * A UDP server: a `GenServer` without arguments, on the socket that it is provided with.
 *
 * @category models
 * @since 0.1.0
 */
export type UdpServer<E = never, R = never> = GenServer.GenServer<
  void,
  ControlMessage,
  SupervisorStartError<E | StartError> | StartError | DatagramSocket.DatagramSocketError,
  R | DatagramSocket.DatagramSocket
>

/**
 * Makes a UDP server.
 *
 * @example
 * ```ts
 * import { NodeDatagramSocket } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { GenServer, Node } from "effect-otp"
 * import { UdpServer } from "effect-otp/net"
 *
 * const Counting = UdpServer.make({
 *   schema: UdpServer.Text,
 *   handlers: 4,
 *   spread: "sender",
 *   init: () => Effect.succeed(0),
 *   datagram: ({ payload, reply }, count) => Effect.as(reply(`${count}: ${payload}`), GenServer.next(count + 1))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* GenServer.start(Counting)
 *   return yield* server.Address()
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide([Node.layerLocal(), NodeDatagramSocket.layer({ bind: { address: "127.0.0.1", port: 0 } })])
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  S,
  E,
  RI,
  F extends CastResult<NoInfer<S>, never>,
  A = Uint8Array
>(
  options: Options<A, S, E, RI, F>
): UdpServer<E, Exclude<RI | ServicesOf<F>, Provided>> => {
  const { capacity = 512, groups = [], handlers = 1, maxBytes = 65_507, spread = "round_robin" } = options
  if (!Number.isSafeInteger(handlers) || handlers < 1) {
    throw new Error(`UdpServer: handlers must be an integer, 1 or more; found ${handlers}`)
  }
  if (!Number.isSafeInteger(capacity) || capacity < handlers) {
    throw new Error(`UdpServer: capacity must be an integer, 1 or more for each handler; found ${capacity}`)
  }
  const intakeOptions = {
    handlers,
    capacity,
    maxBytes,
    spread,
    schema: options.schema as Schema.Codec<unknown, Uint8Array> | undefined // of any payload, inside
  }
  const { datagram, init } = options as unknown as AnyOptions
  const { intensity = 10_000, period = "5 seconds" } = options

  const handlerServer = (intake: UdpIntake) =>
    GenServer.make(Handler, {
      init: (handler: number) =>
        Effect.gen(function*() {
          const instance = (yield* Behaviour.current) as Behaviour.Instance // a server runs in an instance
          const context = contextOf(instance, {
            handler,
            send: (payload: unknown, to: NetAddress.InetAddress) => intake.send(payload, to)
          })
          const live: LiveHandler = { instance, handler, context, user: yield* init(handler) }
          // From now on it gets datagrams.
          intake.fill(handler, instance, Behaviour.refOf(instance, Handler.protocol) as HandlerRef) // of its protocol
          return live
        }),
      handlers: {
        Deliver: (received, live): CastResult<LiveHandler, never> => {
          intake.begin(live.handler)
          const decided = ignoreSendErrors(datagram(received, live.user, live.context))
          return adapt(live, decided, () => undefined) as CastResult<LiveHandler, never> // the user's state is inside
        }
      },
      format: (live) => live.user
    })

  return GenServer.make(Control, {
    init: () =>
      Effect.gen(function*() {
        const socket = yield* DatagramSocket.DatagramSocket
        const intake = new UdpIntake(intakeOptions)
        intake.writer = yield* socket.writer
        const reader = yield* socket.reader
        for (const group of groups) yield* reader.joinMulticast(group)
        const server = handlerServer(intake)
        yield* Supervisor.start(
          Supervisor.make({
            intensity,
            period,
            children: Array.from({ length: handlers }, (_, n) =>
              Supervisor.child(`handler ${n}`, server, n, { mailbox: { capacity: Infinity } }))
          }),
          { link: true }
        )
        const instance = (yield* Behaviour.current) as Behaviour.Instance // as above
        const receive = Effect.flatMap(reader.pull, (batch) =>
          batch.length === 1
            ? intake.take(batch[0])
            : Effect.forEach(batch, (one) =>
              intake.take(one), { discard: true }))
        // Without the socket there is nothing to serve: whoever supervises this opens another one.
        yield* Effect.forkScoped(
          Effect.catchCause(Effect.forever(receive), (cause) =>
            Effect.sync(() =>
              instance.system(() => Effect.failCause(cause))
            ))
        )
        return { intake, reader }
      }),
    handlers: {
      Address: (_, { reader }) => ({ host: NetAddress.formatHost(reader.address), port: reader.address.port }),
      Stats: (_, { intake, reader }) => intake.stats(reader.dropped())
    },
    format: ({ intake, reader }) => intake.stats(reader.dropped())
  }) as never // the types of what users gave are those of the signature
}

/** What handlers understand: what the server itself hands them. Nothing else is an instance of the class. */
class Handler extends Protocol.make(
  "UdpHandler",
  Message.Cast("Deliver", { payload: Schema.instanceOf(Received) })
) {}

interface LiveHandler extends Live {
  readonly handler: number
  readonly context: HandlerContext
}

interface AnyOptions {
  readonly init: (handler: number) => Effect.Effect<unknown, never, never>
  readonly datagram: (datagram: unknown, state: unknown, context: HandlerContext) => unknown
}

/** A datagram that could not be sent is counted where it was sent. Datagrams get lost; that is no crash. */
const ignoreSendErrors = (decided: unknown): unknown =>
  Effect.isEffect(decided)
    ? Effect.catchEager(
      decided as Effect.Effect<unknown, unknown>, // services are those of the process
      (error) => DatagramSocket.isDatagramSocketError(error) ? Effect.void : Effect.fail(error)
    )
    : decided
