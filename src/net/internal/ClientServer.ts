/**
 * The server of a client: a process that has a connection most of the time.
 *
 * It connects, hands over what comes, and when the connection ends, connects again after as long as its schedule says.
 * The schedule begins anew once a connection has proved itself: a frame came, or it lasted.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Context as HandlerContext } from "../../process/Handler.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { Connection, End } from "../Connection.ts"
import type { Framing } from "../Framing.ts"
import { ConnectionClosed, NetError } from "../NetError.ts"
import { type ClientTls, type HostPort, type Socket, TcpNetwork } from "../TcpNetwork.ts"
import { adapt, type Callback, contextOf, eachFrame, type Live, wrapHandlers } from "./Callbacks.ts"
import { type Counters, type Limits, Link } from "./Link.ts"

/** The parts of a client, untyped. The public constructor has checked the types. */
export interface ClientParts {
  readonly framing: Framing<unknown, unknown>
  readonly init: (args: HostPort) => Effect.Effect<unknown, unknown, unknown>
  readonly connected: Callback | undefined
  readonly frame: Callback
  readonly disconnected: Callback | undefined
  readonly idle: Callback | undefined
  readonly timeout: Callback | undefined
  readonly handlers: { readonly [tag: string]: Callback | undefined }
  readonly reconnect: Schedule.Schedule<unknown, End>
  readonly tls: Effect.Effect<ClientTls, NetError> | undefined
  readonly limits: Limits
  readonly connectMillis: number
}

type AnyCallback = (...args: ReadonlyArray<unknown>) => unknown

type Step = (now: number, input: End) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** A connection that has lasted so long has proved itself. */
const provenMillis = 10_000

/** The connection of a client: the present one, or none. */
class Current implements Connection<unknown> {
  readonly address: HostPort
  link: Link<unknown, unknown> | undefined = undefined

  constructor(address: HostPort) {
    this.address = address
  }

  get id(): number {
    return this.link?.id ?? 0
  }

  get peer(): HostPort {
    return this.link?.peer ?? this.address
  }

  get local(): HostPort {
    return this.link?.local ?? { host: "", port: 0 }
  }

  get peerSubject(): string | undefined {
    return this.link?.peerSubject
  }

  get isOpen(): boolean {
    return this.link?.isOpen === true
  }

  write(frame: unknown): ReturnType<Connection<unknown>["write"]> {
    return Effect.suspend(() => this.link?.write(frame) ?? Effect.fail(this.absent()))
  }

  writeAll(frames: ReadonlyArray<unknown>): ReturnType<Connection<unknown>["writeAll"]> {
    return Effect.suspend(() => this.link?.writeAll(frames) ?? Effect.fail(this.absent()))
  }

  offer(frame: unknown): ReturnType<Connection<unknown>["offer"]> {
    return Effect.suspend(() => this.link?.offer(frame) ?? Effect.succeed(false))
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => this.link?.close ?? Effect.void)
  }

  private absent(): ConnectionClosed {
    const { host, port } = this.address
    return new ConnectionClosed({ peer: `${host}:${port}`, detail: "it is not connected" })
  }
}

class Pause extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** What the process of a client keeps. */
interface LiveClient extends Live {
  readonly connection: Current
  readonly counters: Counters
  readonly context: HandlerContext
  /** The schedule in the middle of its way; undefined at its beginning. */
  step: Step | undefined
  /** A socket that has not become a link. */
  arriving: Socket | undefined
  connections: number
  connectedAt: number
}

const timedOut = ({ host, port }: HostPort, millis: number): NetError =>
  new NetError({
    operation: "connect",
    address: `${host}:${port}`,
    code: "ETIMEDOUT",
    detail: `no answer within ${millis} ms`
  })

const errorOf = (end: End): unknown => "error" in end ? end.error : end

/** Makes the server of a client. It is started with the address to connect to. */
export const clientServer = (
  protocol: Protocol.Any,
  parts: ClientParts
): GenServer.GenServer<HostPort, never, never, never> => {
  const { disconnected, framing, limits } = parts
  // Callbacks are called with what their types ask for.
  const connected = parts.connected as AnyCallback | undefined
  const frame = parts.frame as AnyCallback
  const idle = parts.idle as AnyCallback | undefined
  const timeout = parts.timeout as AnyCallback | undefined
  const nothing = (): unknown => undefined

  /** Tries once, in a fiber of its own: the process goes on with its messages. */
  const connect = (live: LiveClient): Effect.Effect<unknown, unknown, unknown> => {
    const { address } = live.connection
    const { host, port } = address
    const dial = Effect.gen(function*() {
      const network = yield* TcpNetwork
      return yield* network.connect({ host, port, tls: parts.tls === undefined ? undefined : yield* parts.tls })
    }).pipe(
      Effect.timeoutOrElse({
        duration: parts.connectMillis,
        orElse: () => Effect.fail(timedOut(address, parts.connectMillis))
      })
    )
    // Once there is a socket, it has an owner: the finalizer of the process, until there is a link.
    const attempt = Effect.uninterruptibleMask((restore) =>
      Effect.match(restore(dial), {
        onFailure: (error) => live.instance.system(() => again(live, { _tag: "Broken", error })),
        onSuccess: (socket) => {
          if (!live.instance.alive) return socket.destroy()
          live.arriving = socket
          live.instance.system(() => open(live, socket))
        }
      })
    )
    return Effect.flatMap(Effect.scope, (scope) => Effect.forkIn(attempt, scope))
  }

  const open = (live: LiveClient, socket: Socket): unknown => {
    const { instance } = live
    live.arriving = undefined
    const link: Link<unknown, unknown> = new Link(
      ++live.connections,
      socket,
      framing,
      limits,
      live.counters,
      instance,
      {
        onFrames: (frames) =>
          instance.system(() => {
            live.step = undefined
            return eachFrame({
              live,
              frames,
              handle: (value) => adapt(live, frame(value, live.user, live.context), nothing),
              isOver: () => link.ended !== undefined,
              done: () => link.handled()
            })
          }),
        onEnd: (end) => instance.system(() => ended(live, link, end)),
        onIdle: idle === undefined
          ? undefined
          : () => instance.system(() => adapt(live, idle(live.user, live.context), nothing))
      }
    )
    live.connection.link = link
    live.connectedAt = instance.node.timers.now()
    // Behind the callback, so that its words are the first.
    instance.system(() => link.start())
    return adapt(live, connected?.(live.user, live.context), nothing)
  }

  const ended = (live: LiveClient, link: Link<unknown, unknown>, end: End): unknown => {
    live.connection.link = undefined
    if (live.instance.node.timers.now() - live.connectedAt >= provenMillis) live.step = undefined
    live.instance.system(() =>
      Effect.flatMap(Effect.scope, (scope) => Effect.andThen(Effect.forkIn(link.finishing(), scope), again(live, end)))
    )
    return adapt(live, (disconnected as AnyCallback | undefined)?.(end, live.user, live.context), nothing)
  }

  /** Connects again when the schedule says so. When that has come to its end, so has the process. */
  const again = (live: LiveClient, end: End): Effect.Effect<unknown, unknown> => {
    const { instance } = live
    const step = live.step === undefined ? Schedule.toStep(parts.reconnect) : Effect.succeed(live.step)
    return Effect.flatMap(step, (step) => {
      live.step = step
      return Effect.match(Effect.exit(step(instance.node.timers.now(), end)), {
        onFailure: () => GenServer.stop(ExitReason.error(errorOf(end))),
        onSuccess: (exit) => {
          if (Exit.isFailure(exit)) return GenServer.stop(ExitReason.error(errorOf(end)))
          const millis = Duration.toMillis(exit.value[1])
          Behaviour.armTimer(instance, new Pause(() => instance.system(() => connect(live))), millis)
          return undefined
        }
      })
    })
  }

  return GenServer.make(protocol as never, {
    init: (address: HostPort) =>
      Effect.gen(function*() {
        const instance = (yield* Behaviour.current) as Behaviour.Instance // a server runs in an instance
        const connection = new Current(address)
        const live: LiveClient = {
          user: yield* parts.init(address),
          instance,
          connection,
          counters: { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, notOffered: 0 },
          context: contextOf(instance, { connection }),
          step: undefined,
          arriving: undefined,
          connections: 0,
          connectedAt: 0
        }
        yield* Scope.addFinalizer(
          yield* Effect.scope,
          Effect.suspend(() => {
            live.arriving?.destroy()
            return connection.link?.finishing() ?? Effect.void
          })
        )
        return GenServer.started(live, { continue: undefined })
      }),
    handlers: wrapHandlers<LiveClient>(
      protocol,
      parts.handlers,
      ({ connection }) => ({ connection }),
      nothing
    ),
    continue: (_: unknown, live: LiveClient) => Effect.asVoid(connect(live)),
    ...(timeout === undefined ? {} : {
      timeout: (live: LiveClient) => adapt(live, timeout(live.user, live.context), nothing)
    }),
    format: ({ connection, connections, counters, user }: LiveClient) => ({
      address: `${connection.address.host}:${connection.address.port}`,
      isConnected: connection.link !== undefined,
      connections,
      ...counters,
      state: user
    })
  } as never) as never // untyped on purpose: the public constructor has the types
}
