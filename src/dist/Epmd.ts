/**
 * EPMD as a client: how nodes find each other on a host.
 *
 * `register` makes a node known for as long as its scope is open. When the connection to EPMD is lost, it registers again
 * until it succeeds, at once and then at most every 2 seconds; the creation of the first time stays. With `serve`, an EPMD of our own is started
 * where none runs, at the beginning and whenever the other one has died.
 *
 * Refused: a name that is taken (an error, not a retry).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Discovery, type DiscoveryError, type DiscoveryService, type NodeEndpoint } from "../process/Transport.ts"
import * as EpmdProtocol from "./EpmdProtocol.ts"
import * as EpmdServer from "./EpmdServer.ts"
import { Growing } from "./internal/Growing.ts"
import { type Link, Network, type NetworkService } from "./Network.ts"

/**
 * Options of an EPMD client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The port, here and on other hosts: that of the configuration `ERL_EPMD_PORT`, else 4369. */
  readonly port?: number | undefined
  /** The address of the EPMD of this host: `127.0.0.1`. */
  readonly host?: string | undefined
  /** Whether to be the EPMD of this host where none runs: no. */
  readonly serve?: boolean | undefined
}

const answerMillis = 5000
const retryMillis = 2000
const maxAnswerBytes = 1024 * 1024

const failure = (node: string, message: string): DiscoveryError => ({ _tag: "DiscoveryError", node, message })

const hostOf = (node: string): string => node.slice(node.indexOf("@") + 1)
const nameOf = (node: string): string => node.slice(0, node.indexOf("@"))

/** A registration lives as long as its link, whose end is noticed from the start. */
class Registration {
  readonly lost: Effect.Effect<void>
  private ended = false
  private tell: (() => void) | undefined = undefined

  constructor(link: Link) {
    link.closed = () => {
      this.ended = true
      this.tell?.()
    }
    this.lost = Effect.callback<void>((resume) => {
      if (this.ended) return resume(Effect.void)
      this.tell = () => resume(Effect.void)
      return Effect.sync(() => link.close())
    })
  }
}

/**
 * Asks one question. `understand` is given what has arrived so far, and whether the connection has ended; the link
 * stays open when it says so by `keep`.
 */
const ask = <A>(
  network: NetworkService,
  address: { readonly host: string; readonly port: number },
  request: EpmdProtocol.Request,
  understand: (bytes: Uint8Array, ended: boolean) => A | undefined | "malformed",
  keep: (answer: A, link: Link) => boolean
): Effect.Effect<A, string> =>
  Effect.mapError(network.connect(address), (error) => error.message).pipe(
    Effect.flatMap((link) =>
      Effect.callback<A, string>((resume) => {
        const held = new Growing(64)
        const settle = (answer: A | undefined | "malformed", ended: boolean): void => {
          if (answer === undefined && !ended) return
          // Whatever follows on the answer means nothing.
          link.received = () => {}
          link.closed = () => {}
          if (answer === undefined || answer === "malformed") {
            link.close()
            resume(Effect.fail(ended ? "EPMD has closed the connection" : "the answer of EPMD is malformed"))
            return
          }
          if (!keep(answer, link)) link.close()
          resume(Effect.succeed(answer))
        }
        link.received = (bytes) => {
          if (held.length + bytes.length > maxAnswerBytes) return settle("malformed", false)
          held.append(bytes)
          settle(understand(held.view(), false), false)
        }
        link.closed = () => settle(understand(held.view(), true), true)
        link.write(EpmdProtocol.encodeRequest(request))
        link.start()
        return Effect.sync(() => link.close())
      })
    ),
    Effect.timeoutOrElse({
      duration: answerMillis,
      orElse: () => Effect.fail(`EPMD at ${address.host}:${address.port} did not answer within ${answerMillis} ms`)
    })
  )

/**
 * A discovery that asks EPMD.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<DiscoveryService, never, Network> = Effect.fnUntraced(
  function*(options?: Options) {
    const network = yield* Network
    const port = options?.port ??
      (yield* Effect.orElseSucceed(Config.Port("ERL_EPMD_PORT"), () => EpmdProtocol.defaultPort))
    const host = options?.host ?? "127.0.0.1"
    const serve = options?.serve === true

    const serveIfNone = Effect.ignore(EpmdServer.make({ host, port })).pipe(Effect.provideService(Network, network))

    const alive = (endpoint: NodeEndpoint) =>
      Effect.suspend(() => {
        let registration: Registration | undefined
        return Effect.map(
          ask(
            network,
            { host, port },
            {
              _tag: "Alive",
              node: EpmdProtocol.registration({
                name: endpoint.name,
                port: endpoint.port,
                hidden: endpoint.attributes?.["hidden"] === true
              })
            },
            (bytes) => EpmdProtocol.decodeAlive(bytes),
            (answer, opened) => {
              if (answer === "taken") return false
              registration = new Registration(opened)
              return true
            }
          ),
          (answer) => ({ answer, registration })
        )
      })

    // Holds the registration; registers again whenever the connection is lost.
    const hold = (endpoint: NodeEndpoint, first: Registration): Effect.Effect<never, never, Scope.Scope> =>
      Effect.gen(function*() {
        let registration: Registration | undefined = first
        let since = yield* Clock.currentTimeMillis
        for (;;) {
          if (registration !== undefined) {
            yield* registration.lost
            registration = undefined
            yield* Effect.logWarning(`EPMD has gone; ${endpoint.name} is registered again as soon as there is one`)
            // One that takes registrations and drops them must not keep this node busy.
            if ((yield* Clock.currentTimeMillis) - since < retryMillis) yield* Effect.sleep(retryMillis)
          } else {
            yield* Effect.sleep(retryMillis)
          }
          since = yield* Clock.currentTimeMillis
          if (serve) yield* serveIfNone
          const again = yield* Effect.exit(alive(endpoint))
          if (Exit.isSuccess(again)) registration = again.value.registration
        }
      })

    const register: DiscoveryService["register"] = (endpoint) =>
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        if (serve) yield* serveIfNone
        const { answer, registration } = yield* Effect.mapError(
          alive(endpoint),
          (message) => failure(endpoint.name, message)
        )
        if (answer === "taken" || registration === undefined) {
          return yield* Effect.fail(failure(endpoint.name, "taken"))
        }
        // Interrupted with the scope, the fiber closes the link that it waits for.
        yield* Effect.forkIn(hold(endpoint, registration), scope)
        return { creation: answer as number }
      })

    const resolve: DiscoveryService["resolve"] = (node) =>
      ask(
        network,
        { host: hostOf(node), port },
        { _tag: "Port", name: nameOf(node) },
        (bytes) => EpmdProtocol.decodePort(bytes),
        () => false
      ).pipe(
        Effect.mapError((message) => failure(node, message)),
        Effect.flatMap((answer) =>
          answer === "unknown"
            ? Effect.fail(failure(node, `EPMD at ${hostOf(node)}:${port} knows no node of this name`))
            : Effect.succeed<NodeEndpoint>({
              name: node,
              host: hostOf(node),
              port: answer.port,
              attributes: { highest: answer.highest, lowest: answer.lowest, hidden: answer.hidden }
            })
        )
      )

    const names: DiscoveryService["names"] = (asked) =>
      ask(
        network,
        { host: asked, port },
        { _tag: "Names" },
        (bytes, ended) => ended ? EpmdProtocol.decodeNames(bytes) : undefined,
        () => false
      ).pipe(
        Effect.mapError((message) => failure(asked, message)),
        Effect.map((nodes) =>
          nodes.map((node): NodeEndpoint => ({ name: `${node.name}@${asked}`, host: asked, port: node.port }))
        )
      )

    return { register, resolve, names }
  }
)

/**
 * EPMD as the discovery of a program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Discovery, never, Network> =>
  Layer.effect(Discovery, make(options))

/**
 * A discovery that knows its nodes from the start and registers nowhere: for fixed ports without EPMD.
 *
 * @category layers
 * @since 0.1.0
 */
export const makeStatic = (
  nodes: { readonly [node: string]: { readonly host: string; readonly port: number } }
): DiscoveryService => {
  const known = new Map(Object.entries(nodes))
  const endpoints = [...known].map(([name, at]): NodeEndpoint => ({ name, ...at }))
  return {
    // Without anybody to ask, the clock makes the creation: see `Node`.
    register: () => Effect.succeed({ creation: 0 }),
    resolve: (node) =>
      Option.match(Option.fromUndefinedOr(endpoints.find((endpoint) => endpoint.name === node)), {
        onNone: () => Effect.fail(failure(node, "it is none of the nodes that were given")),
        onSome: (endpoint) => Effect.succeed(endpoint)
      }),
    names: (host) => Effect.succeed(endpoints.filter((endpoint) => endpoint.host === host))
  }
}
