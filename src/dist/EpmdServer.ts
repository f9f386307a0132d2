/**
 * An EPMD of our own, for hosts where none runs.
 *
 * A registration lives as long as its connection; a name that comes back gets the next creation. The answers are those
 * of the real one, byte for byte, and in one piece.
 *
 * Listens on loopback unless told otherwise. Registrations and dumps are for peers of this host only; to be killed or
 * to have names taken away is refused. A connection that has not asked and taken its answer within 10 seconds is closed;
 * one too many takes the place of the oldest that has not registered. Registrations are limited, so that look-ups are
 * always answered.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as EpmdProtocol from "./EpmdProtocol.ts"
import { concat, u32, utf8 } from "./internal/Bytes.ts"
import { type Link, Network, type NetworkError } from "./Network.ts"

/**
 * Options of an EPMD.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The address to listen on: `127.0.0.1`. */
  readonly host?: string | undefined
  /** The port: 4369. */
  readonly port?: number | undefined
  /** Open connections at most, registered nodes included: 1000. */
  readonly maxConnections?: number | undefined
  /** Registered nodes at most: 800, or what leaves a fifth of the connections for others. */
  readonly maxNodes?: number | undefined
  /** How long a connection may take to ask and to take its answer, in milliseconds: 10 000. */
  readonly idleMillis?: number | undefined
}

/**
 * An EPMD that runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface EpmdServer {
  readonly port: number
  /** The nodes that are registered now. */
  readonly nodes: () => ReadonlyArray<EpmdProtocol.Registration>
}

/** How many names are remembered for their creation after they have gone. */
const rememberedMax = 10_000

const isLocal = (link: Link): boolean =>
  link.remoteAddress === "::1" || /^(::ffff:)?127\./.test(link.remoteAddress) ||
  (link.remoteAddress !== "" && link.remoteAddress === link.localAddress)

/**
 * Serves EPMD until the scope closes. Fails when the port is taken, by another EPMD for example.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<EpmdServer, NetworkError, Network | Scope.Scope> = Effect
  .fnUntraced(function*(options?: Options) {
    const network = yield* Network
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const maxConnections = options?.maxConnections ?? 1000
    const maxNodes = options?.maxNodes ?? Math.floor(maxConnections * 0.8)
    const idleMillis = options?.idleMillis ?? 10_000
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const links = new Set<Link>()
    /** Those that are no registrations, the oldest first. */
    const guests = new Set<Link>()
    const registered = new Map<string, EpmdProtocol.Registration>()
    const creations = new Map<string, number>()
    const port = { number: options?.port ?? EpmdProtocol.defaultPort }

    const creationOf = (name: string, highest: number): number => {
      const last = creations.get(name)
      let next = last === undefined ? seconds >>> 0 : (last + 1) >>> 0
      if (next < 4) next = 4
      creations.delete(name)
      creations.set(name, next)
      // The oldest of those that are gone makes room.
      if (creations.size > rememberedMax) {
        for (const old of creations.keys()) {
          if (!registered.has(old)) {
            creations.delete(old)
            break
          }
        }
      }
      return highest >= 6 ? next : next % 3 + 1
    }

    const dump = (): Uint8Array => {
      let text = ""
      let fd = 5
      for (const node of registered.values()) {
        text += `active name     <${node.name}> at port ${node.port}, fd = ${fd++}\n\0`
      }
      return concat([u32(port.number), utf8(text)])
    }

    /** Answers a request; true when the connection stays open. */
    const answer = (link: Link, request: EpmdProtocol.Request): boolean => {
      switch (request._tag) {
        case "Alive": {
          if (!isLocal(link)) return false
          const { node } = request
          if (registered.has(node.name) || registered.size >= maxNodes) {
            link.write(EpmdProtocol.encodeAlive(1, 99, node.highest))
            return false
          }
          registered.set(node.name, node)
          const closed = link.closed
          link.closed = () => {
            registered.delete(node.name)
            closed()
          }
          link.write(EpmdProtocol.encodeAlive(0, creationOf(node.name, node.highest), node.highest))
          return true
        }
        case "Port":
          link.write(EpmdProtocol.encodePort(registered.get(request.name)))
          return false
        case "Names":
          link.write(EpmdProtocol.encodeNames(port.number, registered.values()))
          return false
        case "Dump":
          if (isLocal(link)) link.write(dump())
          return false
        case "Kill":
          if (isLocal(link)) link.write(utf8("NO"))
          return false
        case "Stop":
          return false
      }
    }

    const onLink = (link: Link): void => {
      if (links.size >= maxConnections) {
        const [oldest] = guests
        if (oldest === undefined) return link.close()
        links.delete(oldest)
        guests.delete(oldest)
        oldest.close()
      }
      links.add(link)
      guests.add(link)
      const parser = EpmdProtocol.makeParser()
      const idle = Effect.runForkWith(context)(Effect.map(Effect.sleep(idleMillis), () => link.close()))
      link.closed = () => {
        links.delete(link)
        guests.delete(link)
        idle.interruptUnsafe()
      }
      link.received = (bytes) => {
        const request = parser.feed(bytes)
        if (request === undefined) return
        // Anything on a connection that is registered already ends it, as in the real one.
        if (typeof request === "string") return link.close()
        if (!answer(link, request)) return link.end()
        guests.delete(link)
        idle.interruptUnsafe()
      }
      link.start()
    }

    const listening = yield* network.listen({ host: options?.host ?? "127.0.0.1", port: port.number }, onLink)
    port.number = listening.port
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => {
        for (const link of links) link.close()
      })
    )
    return { port: port.number, nodes: () => [...registered.values()] }
  })

/**
 * Serves EPMD for as long as the layer lives.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, NetworkError, Network> =>
  Layer.effectDiscard(make(options))
