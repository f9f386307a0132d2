/**
 * The server of one connection: what the callbacks of a user mean to the loop of a process.
 *
 * The process owns its link: it hands the frames of a chunk to the callback one after another, in one message, and asks
 * for the next chunk when they are handled. What comes from the link goes into the process between two messages, outside
 * of its protocol, so that nobody can send it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Context as HandlerContext } from "../../process/Handler.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import type * as Connection from "../Connection.ts"
import type { Framing } from "../Framing.ts"
import type { Socket } from "../TcpNetwork.ts"
import { adapt, type Callback, contextOf, eachFrame, type Live, wrapHandlers } from "./Callbacks.ts"
import type { HandlerPool } from "./HandlerPool.ts"
import { type Counters, type Limits, Link } from "./Link.ts"

/** The parts of a connection, untyped. The public constructor has checked the types. */
export interface ConnectionParts {
  readonly framing: Framing<unknown, unknown>
  readonly connect: Callback
  readonly frame: Callback
  readonly idle: Callback | undefined
  readonly disconnect: Callback | undefined
  readonly timeout: Callback | undefined
  readonly handlers: { readonly [tag: string]: Callback | undefined }
  readonly limits: Limits
  readonly connectMillis: number
  readonly disconnectMillis: number
}

/** A connection as its server sees it. */
export interface Place {
  readonly id: number
  readonly socket: Socket
  readonly counters: Counters & { refused: number }
  link: Link<unknown, unknown> | undefined
  /** The handlers that run its callback for frames; without them its own process does. */
  readonly pool: HandlerPool | undefined
  /** Of its process, when that has started. */
  pid: Pid | undefined
  /** Why it ended, when it has. */
  end: Connection.End | undefined
}

/** What the process of a connection keeps. */
class LiveConnection implements Live {
  user: unknown = undefined
  readonly instance: Behaviour.Instance
  readonly place: Place
  readonly link: Link<unknown, unknown>
  readonly context: HandlerContext
  connected = false

  constructor(
    instance: Behaviour.Instance,
    place: Place,
    link: Link<unknown, unknown>,
    context: HandlerContext
  ) {
    this.instance = instance
    this.place = place
    this.link = link
    this.context = context
  }
}

type AnyCallback = (...args: ReadonlyArray<unknown>) => unknown

/** How a process ends with its connection: the peer's doing is no crash. */
const reasonOf = (end: Connection.End): ExitReason.ExitReason =>
  end._tag === "PeerClosed" || end._tag === "Closed" || end._tag === "Idle"
    ? ExitReason.normal
    : ExitReason.shutdownWith(end)

const onClosed = (): unknown => GenServer.stop(ExitReason.normal)

/** Makes the server of which each connection runs one. It is started with its {@link Place}. */
export const connectionServer = (
  protocol: Protocol.Any,
  parts: ConnectionParts
): GenServer.GenServer<Place, never, never, never> => {
  const { disconnect, framing, handlers, limits } = parts
  // Callbacks are called with what their types ask for.
  const connect = parts.connect as AnyCallback
  const frame = parts.frame as AnyCallback
  const idle = parts.idle as AnyCallback | undefined
  const timeout = parts.timeout as AnyCallback | undefined

  const openLink = (instance: Behaviour.Instance, place: Place): LiveConnection => {
    const link = new Link<unknown, unknown>(place.id, place.socket, framing, limits, place.counters, instance, {
      onFrames: (frames) =>
        instance.system(() =>
          eachFrame({
            live,
            frames,
            handle: place.pool === undefined
              ? (value) => adapt(live, frame(value, live.user, live.context), onClosed)
              : (value) => adapt(live, inPool(place.pool!, live, value), onClosed),
            isOver: () => link.ended !== undefined,
            done: () => link.handled()
          })
        ),
      onEnd: (end) => instance.system(() => GenServer.stop(reasonOf(end))),
      onIdle: idle === undefined
        ? undefined
        : () => instance.system(() => adapt(live, idle(live.user, live.context), onClosed))
    })
    place.link = link
    instance.more.label = `connection ${place.id} of ${link.peer.host}:${link.peer.port}`
    const live = new LiveConnection(instance, place, link, contextOf(instance, { connection: link }))
    return live
  }

  const inPool = (pool: HandlerPool, live: LiveConnection, value: unknown): unknown =>
    pool.run(live.link.id, (worker) => frame(value, live.user, { ...live.context, worker }))

  return GenServer.make(protocol as never, {
    init: (place: Place) =>
      Effect.flatMap(Behaviour.current, (process) => {
        const live = openLink(process as Behaviour.Instance, place) // a server runs in an instance
        return Effect.as(
          Effect.addFinalizer((exit) => Effect.sync(() => live.link.destroy(Exit.isFailure(exit)))),
          GenServer.started(live, { continue: undefined })
        )
      }),
    handlers: wrapHandlers<LiveConnection>(protocol, handlers, ({ link }) => ({ connection: link }), onClosed),
    /** Behind the start, so that a connection which takes its time to greet does not keep others waiting. */
    continue: (_: unknown, live: LiveConnection) =>
      Effect.matchEffect(
        Effect.timeoutOrElse(connect(live.context) as Effect.Effect<unknown, unknown>, {
          duration: parts.connectMillis,
          orElse: () => Effect.fail("it was not ready in time")
        }),
        {
          onFailure: (error) =>
            Effect.sync(() => {
              live.place.counters.refused++
              return GenServer.stop(ExitReason.shutdownWith(error))
            }),
          onSuccess: (state) =>
            Effect.sync(() => {
              live.user = state
              live.connected = true
              live.link.start()
            })
        }
      ),
    ...(timeout === undefined ? {} : {
      timeout: (live: LiveConnection) => adapt(live, timeout(live.user, live.context), onClosed)
    }),
    terminate: (reason: ExitReason.ExitReason, live: LiveConnection) =>
      Effect.suspend(() => {
        const { context, link, place, user } = live
        const end: Connection.End = ExitReason.isOrderly(reason)
          ? link.ended ?? { _tag: "Closed" }
          : { _tag: "Crashed", reason }
        place.end = end
        const goodbye = live.connected && disconnect !== undefined
          ? Effect.suspend(() => (disconnect as AnyCallback)(end, user, context) as Effect.Effect<unknown, unknown>)
          : Effect.void
        return goodbye.pipe(
          Effect.timeoutOption(parts.disconnectMillis),
          Effect.catchTag("ConnectionClosed" as never, () => Effect.void),
          Effect.ensuring(link.finishing(end._tag === "Crashed"))
        )
      }),
    format: (live: LiveConnection) => ({
      connection: live.link.id,
      peer: `${live.link.peer.host}:${live.link.peer.port}`,
      state: live.user
    })
  } as never) as never // untyped on purpose: what is built here has the types of the public constructor
}
