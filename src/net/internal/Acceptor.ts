/**
 * The process of a TCP server: it listens, has a supervisor start a process for each connection, and counts.
 *
 * Connections are children that are not restarted: what they lose by a crash is gone with their socket. The listener is
 * closed before the connections, so that nobody comes in while others go.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as DynamicSupervisor from "../../otp/DynamicSupervisor.ts"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { From } from "../../process/Handler.ts"
import type { MailboxOptions } from "../../process/Mailbox.ts"
import { Node } from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { End } from "../Connection.ts"
import { NetError } from "../NetError.ts"
import * as TcpControl from "../TcpControl.ts"
import { type HostPort, type Listener, type ServerTls, type Socket, TcpNetwork } from "../TcpNetwork.ts"
import { type ConnectionParts, connectionServer, type Place } from "./ConnectionServer.ts"
import { HandlerPool, type PoolParts } from "./HandlerPool.ts"

/** How a server treats its connections. */
export interface AcceptorOptions {
  readonly maxConnections: number
  readonly mailbox: MailboxOptions | undefined
  readonly handshakeMillis: number
  readonly drainMillis: number
  readonly tls: Effect.Effect<ServerTls, NetError> | undefined
  readonly pool: PoolParts | undefined
}

/** What a server is started with. */
export interface ListenOptions {
  readonly port: number
  readonly host?: string
}

/** The connections of a server, and what is counted. */
class Connections {
  readonly places = new Map<number, Place>()
  readonly counters = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, notOffered: 0, refused: 0 }
  readonly ended: { -readonly [Tag in End["_tag"]]: number } = {
    PeerClosed: 0,
    Closed: 0,
    Idle: 0,
    Deadline: 0,
    Slow: 0,
    BadFrame: 0,
    Broken: 0,
    Crashed: 0
  }
  /** How many connections came in. */
  accepted = 0
  /** Whether it has begun to end. */
  draining = false
  /** Called when the last connection has ended. */
  onEmpty: (() => void) | undefined = undefined
  readonly pool: HandlerPool | undefined

  constructor(pool: HandlerPool | undefined) {
    this.pool = pool
  }

  open(socket: Socket): Place {
    const id = ++this.accepted
    const { counters, pool } = this
    const place: Place = { id, socket, counters, pool, link: undefined, end: undefined, pid: undefined }
    this.places.set(id, place)
    return place
  }

  close(place: Place, reason: ExitReason.ExitReason): void {
    this.places.delete(place.id)
    const end = place.end ?? place.link?.ended
    this.ended[end?._tag ?? (ExitReason.isOrderly(reason) ? "Closed" : "Crashed")]++
    if (this.places.size === 0) this.onEmpty?.()
  }

  stats(): TcpControl.Stats {
    return {
      accepted: this.accepted,
      active: this.places.size,
      ...this.counters,
      restarts: this.pool?.restarts ?? 0,
      ended: { ...this.ended }
    }
  }
}

interface State {
  readonly connections: Connections
  readonly listener: Listener
}

/** Tells connections to end, and waits until they have, at most so long. How many there are left. */
const drain = (instance: Behaviour.Instance, connections: Connections, millis: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    connections.draining = true
    for (const { link } of connections.places.values()) link?.drain()
    if (connections.places.size === 0) return resume(Effect.succeed(0))
    const end = (): void => {
      connections.onEmpty = before
      resume(Effect.sync(() => connections.places.size))
    }
    const before = connections.onEmpty
    const timer = new DrainTimer(end)
    connections.onEmpty = () => {
      before?.()
      Behaviour.cancelTimer(instance, timer)
      instance.node.runQueue.push({ run: end })
    }
    Behaviour.armTimer(instance, timer, millis)
    return Effect.sync(() => {
      connections.onEmpty = before
      Behaviour.cancelTimer(instance, timer)
    })
  })

const isLoopback = (host: string): boolean => host.startsWith("127.") || host === "::1" || host === "localhost"

const noTls = ({ host, port }: HostPort): NetError =>
  new NetError({
    operation: "certificate",
    address: `${host}:${port}`,
    code: "ENOTSUP",
    detail: "the server was made without TLS; pass the option tls"
  })

class DrainTimer extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** Makes the server that listens for connections of this kind. */
export const acceptor = (
  protocol: Protocol.Any,
  parts: ConnectionParts,
  options: AcceptorOptions
): GenServer.GenServer<ListenOptions, TcpControl.ControlMessage, NetError, TcpNetwork> => {
  const supervisor = DynamicSupervisor.make(connectionServer(protocol, parts), {
    restart: "temporary",
    trapExit: true,
    ...(options.mailbox === undefined ? {} : { mailbox: options.mailbox })
  })

  const init = (listen: ListenOptions) =>
    Effect.gen(function*() {
      const node = yield* Node
      const network = yield* TcpNetwork
      const instance = (yield* Behaviour.current) as Behaviour.Instance // a server runs in an instance
      const pool = options.pool === undefined ? undefined : new HandlerPool(options.pool.size)
      // Before the connections, so that it ends after them.
      if (options.pool !== undefined) yield* pool!.start(options.pool)
      const connections = new Connections(pool)
      // What has come in and has no process yet. Nobody else would close it when this process ends.
      const arriving = new Set<Socket>()
      let isOver = false
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          isOver = true
          for (const socket of arriving) socket.destroy()
        })
      )
      const children = yield* DynamicSupervisor.start(supervisor, { link: true })
      const accept = (socket: Socket): unknown => {
        arriving.delete(socket)
        if (connections.draining) return socket.destroy()
        const place = connections.open(socket)
        return Effect.matchEffect(DynamicSupervisor.startChild(children, place), {
          onFailure: () =>
            Effect.sync(() => {
              socket.destroy()
              connections.close(place, ExitReason.shutdown)
            }),
          onSuccess: ({ pid }) =>
            Effect.sync(() => {
              place.pid = pid
              if (connections.draining) place.link?.drain()
              const process = Behaviour.processAt(node, pid)
              if (process === undefined) connections.close(place, ExitReason.normal)
              else Behaviour.watch(process, (reason) => connections.close(place, reason))
            })
        })
      }
      yield* Effect.addFinalizer(() => drain(instance, connections, options.drainMillis))
      const listener = yield* network.listen(
        {
          host: listen.host ?? "127.0.0.1",
          port: listen.port,
          tls: options.tls === undefined ? undefined : yield* options.tls,
          handshakeMillis: options.handshakeMillis,
          maxConnections: options.maxConnections,
          onRefused: () => {
            connections.counters.refused++
          }
        },
        (socket) => {
          if (isOver) return socket.destroy()
          arriving.add(socket)
          instance.system(() => accept(socket))
        }
      )
      const { host, port } = listener.address
      if (!isLoopback(host)) yield* Effect.logInfo(`listening on ${host}:${port}, which others can reach`)
      return { connections, listener } satisfies State
    })

  const drained = (
    { connections, listener }: State,
    millis: number,
    from: From<typeof TcpControl.Drained.Type, never>,
    instance: Behaviour.Instance
  ) =>
    Effect.gen(function*() {
      yield* listener.close
      const there = connections.places.size
      const cut = yield* drain(instance, connections, millis)
      const rest = [...connections.places.values()]
      yield* Effect.forEach(rest, ({ pid }) => pid === undefined ? Effect.void : Process.kill(pid), { discard: true })
      yield* from.reply({ finished: there - cut, cut })
    })

  return GenServer.make(TcpControl.Control, {
    init,
    handlers: {
      Address: (_, { listener }) => listener.address,
      Stats: (_, { connections }) => connections.stats(),
      Connections: (_, { connections }) =>
        [...connections.places.values()].map(({ id, link, socket }) => ({
          id,
          peer: socket.peer,
          isOpen: link?.isOpen ?? true
        })),
      // In a fiber of its own: meanwhile the server answers others.
      Drain: ({ timeoutMillis }, state, { from }) =>
        Effect.gen(function*() {
          const instance = (yield* Behaviour.current) as Behaviour.Instance // as in `init`
          const services = yield* Behaviour.services<Node>()
          const scope = yield* Effect.scope
          yield* Effect.forkIn(Effect.provideContext(drained(state, timeoutMillis, from, instance), services), scope)
          return GenServer.noReply(state)
        }),
      Reload: (_, { listener }) =>
        options.tls === undefined
          ? Effect.fail(noTls(listener.address))
          : Effect.flatMap(options.tls, listener.reload)
    }
  }) as never // what `init` can fail with besides, a supervisor that does not start, is a defect of this file
}
